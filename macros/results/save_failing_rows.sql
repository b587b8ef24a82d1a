{% macro save_failing_rows(table, results, kinds) %}
    {#- Up to ten of the rows that each of these tests kept, without personal values, into ops.node_results.failing_rows.
        Each in a block of its own: one that cannot be read says so, and the others are shown. -#}
    {% if not results %}
        {{ return('') }}
    {% endif %}
    {% set columns_sql %}
        select
            wanted.node_id,
            pg_attribute.attname::text as column_name,
            quote_ident(pg_attribute.attname) as quoted,
            format_type(pg_attribute.atttypid, null) as type_name
        from (
            values
            {% for result in results %}
                ({{ _literal(result.node_id) }}, {{ _literal(_kept_rows(result)) }})
                {{- ',' if not loop.last }}
            {% endfor %}
        ) as wanted (node_id, relation)
        inner join pg_catalog.pg_attribute
            on pg_attribute.attrelid = to_regclass(wanted.relation)
        where pg_attribute.attnum > 0 and not pg_attribute.attisdropped
        order by wanted.node_id, pg_attribute.attnum
    {% endset %}
    {% set columns = {} %}
    {% for row in run_query(columns_sql) %}
        {% do columns.setdefault(row[0], []).append({'name': row[1], 'quoted': row[2], 'type': row[3]}) %}
    {% endfor %}
    {% set marks, tag = marks_of_columns(), '$failing_rows_' ~ invocation_id.replace('-', '') ~ '$' %}
    do {{ tag }}
    begin
        {% for result in results %}
            {% set of_node -%}
                results.invocation_id = '{{ invocation_id }}'
                and results.node_id = {{ _literal(result.node_id) }}
            {%- endset %}
            {% if not columns.get(result.node_id) %}
                update {{ table.relation_name }} as results
                set failing_rows = {{ _literal(tojson(failing_rows_note(
                    'The stored rows cannot be read: ' ~ _kept_rows(result) ~ ' does not exist.'))) }}
                where {{ of_node }};
            {% else %}
                {% set masked, known = [], known_texts(result.node_id, marks, kinds) %}
                {% for column in columns[result.node_id] %}
                    {% if is_masked_column(column.name, result.column_name, marks, kinds)
                        or (known is not none and not result.column_name and can_hold_text(column.type)
                            and not modules.re.search('(^|_)(' ~ known | join('|') ~ ')$', column.name | lower)) %}
                        {% do masked.append(column.name) %}
                    {% endif %}
                {% endfor %}
                {% set names = columns[result.node_id] | map(attribute='name') | list %}
                begin
                    update {{ table.relation_name }} as results
                    set failing_rows = jsonb_build_object(
                        'columns', {{ _literal(tojson(names)) }}::jsonb,
                        'masked_columns', {{ _literal(tojson(masked)) }}::jsonb,
                        'note', null,
                        'rows', (
                            select coalesce(jsonb_agg(to_jsonb(array[
                                {% for column in columns[result.node_id] %}
                                    {{ shown_value_sql('kept.' ~ column.quoted, column.type, column.name in masked, kinds) }}
                                    {{- ',' if not loop.last }}
                                {% endfor %}
                            ])), '[]')
                            from (
                                select * from {{ _kept_rows(result) }}
                                limit 10
                            ) as kept
                        )
                    )
                    where {{ of_node }};
                {#- The message may hold a value of the rows, so only its code is told. -#}
                exception when others then
                    update {{ table.relation_name }} as results
                    set failing_rows = {{ _literal(tojson(failing_rows_note(none))) }}::jsonb
                        || jsonb_build_object('note', 'The stored rows cannot be read (SQLSTATE ' || sqlstate || ').')
                    where {{ of_node }};
                end;
            {% endif %}
        {% endfor %}
    end
    {{ tag }}
{% endmacro %}

{% macro failing_rows_note(note) %}
    {{ return({'columns': [], 'rows': [], 'masked_columns': [], 'note': note}) }}
{% endmacro %}

{% macro marks_of_columns() %}
    {#- Names of columns that any YAML calls personal, those that it calls harmless, and those that the project describes. -#}
    {% set marks = {'personal': [], 'harmless': [], 'described': []} %}
    {% for node in graph.nodes.values() | list + graph.sources.values() | list %}
        {% for column in node.columns.values() %}
            {% set name, meta = column.name | lower, column_meta(column) %}
            {% if 'pii' in meta %}
                {% do marks['personal' if meta.pii else 'harmless'].append(name) %}
            {% endif %}
            {% if node.package_name == project_name %}
                {% do marks.described.append(name) %}
            {% endif %}
        {% endfor %}
    {% endfor %}
    {{ return(marks) }}
{% endmacro %}

{% macro known_texts(test_id, marks, kinds) %}
    {#- What a test of several columns calls a column of its own may be a name in capital letters, or a whole row. None if
        nothing that it reads is made of something personal. -#}
    {% set test = graph.nodes[test_id] %}
    {% set known, personal, read = ['lossy_cast', 'raw_value', 'value_found'], [], test.depends_on.nodes | list %}
    {% do known.extend(test.config.get('meta', {}).get('shows', [])) %}
    {% for node_id in read %}
        {% set node = graph.nodes.get(node_id) or graph.sources.get(node_id) or {'columns': {}} %}
        {% for column in node['columns'].values() %}
            {% if is_masked_column(column.name, none, marks, kinds) %}
                {% do personal.append(column.name) %}
            {% elif node_id in test.depends_on.nodes %}
                {% do known.append(modules.re.escape(column.name | lower)) %}
            {% endif %}
        {% endfor %}
        {% for parent in (node.depends_on or {}).get('nodes', []) if parent not in read %}
            {% do read.append(parent) %}
        {% endfor %}
    {% endfor %}
    {{ return(known if personal else none) }}
{% endmacro %}

{% macro can_hold_text(type) %}
    {{ return(not modules.re.match(
        '(boolean|smallint|integer|bigint|numeric|real|double precision|date|time|timestamp|interval)\\b', type)) }}
{% endmacro %}

{% macro is_masked_column(column_name, tested_column, marks, kinds) %}
    {#- Without the seed nobody can tell, so all is hidden. dbt's tests rename the tested column (unique_field,
        value_field): of a test of a personal one, all that the project does not describe is hidden, and so is a row that
        is kept as one document. -#}
    {% set name = column_name | lower %}
    {% if not kinds or name in marks.personal or name == 'failing_row' %}
        {{ return(true) }}
    {% elif tested_column and is_masked_column(tested_column, none, marks, kinds)
        and name not in marks.described + ['n_records', 'num_rows', 'row_count', 'count'] %}
        {{ return(true) }}
    {% endif %}
    {{ return(name not in marks.harmless and personal_kind(column_name, {}, kinds) is not none) }}
{% endmacro %}

{% macro shown_value_sql(column, type, is_masked, kinds) %}
    {#- SQL of one value as JSON can hold it: numbers that have no such form, and everything else, as text of 200
        characters without addresses of mail. Null stays null: it tells of no one. -#}
    {% if is_masked %}
        {{ return("case when " ~ column ~ " is not null then '\"•••\"'::jsonb end") }}
    {% elif type in ['boolean', 'smallint', 'integer', 'bigint'] %}
        {{ return('to_jsonb(' ~ column ~ ')') }}
    {% elif type == 'bytea' %}
        {{ return("to_jsonb('(' || octet_length(" ~ column ~ ") || ' bytes)')") }}
    {% elif type in ['real', 'double precision'] %}
        {{ return("case when " ~ column ~ "::text in ('NaN', 'Infinity', '-Infinity') then to_jsonb(" ~ column
            ~ "::text) else to_jsonb(" ~ column ~ ") end") }}
    {% endif %}
    {% set text = "regexp_replace(left(" ~ column ~ "::text, 2000), " ~ _literal(email_values(kinds)) ~ ", '•••', 'g')" %}
    {{ return("to_jsonb(case when length(" ~ text ~ ") > 200 then left(" ~ text ~ ", 199) || '…' else " ~ text ~ " end)") }}
{% endmacro %}

{% macro _kept_rows(result) %}
    {{ return(adapter.quote(result.failures_schema) ~ '.' ~ adapter.quote(result.failures_table)) }}
{% endmacro %}

{% macro _literal(text) %}
    {{ return("'" ~ text.replace("'", "''") ~ "'") }}
{% endmacro %}
