{% macro partition_columns(relation) %}
    {#- Name, quoted name and exact type of each column, in order. The information schema, which dbt asks,
        has no usable name for arrays and user-defined types. -#}
    {% set found = run_query(
        "select attname, format_type(atttypid, atttypmod) from pg_catalog.pg_attribute where attrelid = '"
        ~ relation ~ "'::regclass and attnum > 0 and not attisdropped order by attnum") %}
    {% set columns = [] %}
    {% for row in found %}
        {% do columns.append({'name': row[0], 'quoted': adapter.quote(row[0]), 'type': row[1]}) %}
    {% endfor %}
    {{ return(columns) }}
{% endmacro %}

{% macro partition_column_changes(temp_relation, target_relation) %}
    {#- What on_schema_change makes of the difference between the query and the table: `alter` (actions of
        ALTER TABLE, perhaps none) and `columns` (those to be written). Nothing is changed yet. -#}
    {% set mode = incremental_validate_on_schema_change(config.get('on_schema_change'), default='ignore') %}
    {% set contract = config.get('contract') %}
    {% set new_columns = partition_columns(temp_relation) %}
    {% set old_columns = partition_columns(target_relation) %}
    {% set new_names = new_columns | map(attribute='name') | list %}
    {% set old_types = {} %}
    {% for column in old_columns %}
        {% do old_types.update({column.name: column.type}) %}
    {% endfor %}
    {% set added = new_columns | rejectattr('name', 'in', old_types.keys()) | list %}
    {% set dropped = old_columns | rejectattr('name', 'in', new_names) | list %}
    {% set retyped = [] %}
    {% set widened = [] %}
    {% set has_contract = contract and contract.enforced %}
    {% for column in new_columns if column.name in old_types and column.type != old_types[column.name] %}
        {#- A contract gives the table its types; the query need not say numeric(18,2) again. -#}
        {% if not has_contract or _without_size(column.type) != _without_size(old_types[column.name]) %}
            {% do retyped.append(column) %}
            {% if not has_contract and _is_wider_text(column.type, old_types[column.name]) %}
                {% do widened.append(column) %}
            {% endif %}
        {% endif %}
    {% endfor %}
    {% if mode == 'fail' and (added or dropped or retyped | reject('in', widened) | list) %}
        {% do _partition_error(
            'the query and ' ~ target_relation ~ ' differ in columns (new: '
            ~ added | map(attribute='name') | join(', ') ~ '; gone: ' ~ dropped | map(attribute='name') | join(', ')
            ~ '; of another type: ' ~ retyped | map(attribute='name') | join(', ')
            ~ '); set on_schema_change to append_new_columns or sync_all_columns, or run with --full-refresh') %}
    {% endif %}
    {% set actions = [] %}
    {% if mode in ['append_new_columns', 'sync_all_columns'] %}
        {% for column in added %}
            {% do actions.append('add column ' ~ column.quoted ~ ' ' ~ column.type) %}
        {% endfor %}
    {% endif %}
    {% if mode == 'sync_all_columns' %}
        {% for column in dropped %}
            {% do actions.append('drop column ' ~ column.quoted) %}
        {% endfor %}
    {% endif %}
    {% for column in (retyped if mode == 'sync_all_columns' else widened) %}
        {% do actions.append(
            'alter column ' ~ column.quoted ~ ' type ' ~ column.type ~ ' using ' ~ column.quoted ~ '::' ~ column.type) %}
    {% endfor %}
    {{ return({'alter': actions, 'columns': old_columns if mode == 'ignore' else new_columns}) }}
{% endmacro %}

{% macro _without_size(type) %}
    {{ return(modules.re.sub('[(].*?[)]', '', type)) }}
{% endmacro %}

{% macro _is_wider_text(new_type, old_type) %}
    {#- varchar(20) has to become varchar(40) in any mode, or rows that are right would fail. -#}
    {% set sized = 'character varying(' %}
    {% if not old_type.startswith(sized) %}
        {{ return(false) }}
    {% elif new_type.startswith(sized) %}
        {{ return(new_type[18:-1] | int > old_type[18:-1] | int) }}
    {% endif %}
    {{ return(new_type in ['text', 'character varying']) }}
{% endmacro %}
