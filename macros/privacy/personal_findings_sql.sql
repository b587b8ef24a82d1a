{% macro personal_data_readers() %}
    {{ return(['haven_analyst', 'haven_ml', 'haven_vendor']) }}
{% endmacro %}

{% macro readable_columns(roles, kinds, only=none) %}
    {% set marks, granted = {}, [] %}
    {% for node in graph.nodes.values() if node.resource_type in ['model', 'seed', 'snapshot'] %}
        {#- What the project grants is readable, in dev and before `haven access` too. -#}
        {% set grants = node.config.get('grants') or {} %}
        {% set grantees = grants.get('select') or [] %}
        {% for role in ([grantees] if grantees is string else grantees) if role in roles %}
            {% do granted.append(node.schema ~ '.' ~ node.alias) %}
        {% endfor %}
        {% for column in node.columns.values() %}
            {% set meta = column_meta(column) %}
            {% if 'pii' in meta or 'mask' in meta %}
                {% do marks.update({(node.schema ~ '.' ~ node.alias ~ '.' ~ column.name): meta}) %}
            {% endif %}
        {% endfor %}
    {% endfor %}
    {% for source in graph.sources.values() %}
        {% for column in source.columns.values() %}
            {% set meta = column_meta(column) %}
            {% set pii = personal_kind(column.name, meta, kinds) %}
            {% if pii or meta.get('pii') is not none %}
                {% do marks.update({
                    ('raw_masked.' ~ source.identifier ~ '.' ~ column.name): {'pii': pii or false, 'mask': 'null'},
                }) %}
            {% endif %}
        {% endfor %}
    {% endfor %}
    {% set found = [] %}
    {#- What raw_masked has of columns with a personal name that no YAML lists is null. -#}
    {% set unlisted = {'raw_masked': {'pii': true, 'mask': 'null'}} %}
    {#- Without the tables that dbt has for a moment while it builds other models. Readers are the
        roles and who inherits from one of them, but for makers, and developers in what is theirs. -#}
    {% for row in run_query(
        "select pg_namespace.nspname, pg_class.relname, pg_attribute.attname, "
        ~ "format_type(pg_attribute.atttypid, null), "
        ~ "has_schema_privilege(pg_namespace.oid, 'usage') "
        ~ "and has_column_privilege(pg_class.oid, pg_attribute.attnum, 'select') "
        ~ "from pg_catalog.pg_attribute "
        ~ "inner join pg_catalog.pg_class on pg_attribute.attrelid = pg_class.oid "
        ~ "inner join pg_catalog.pg_namespace on pg_class.relnamespace = pg_namespace.oid "
        ~ "where pg_class.relkind in ('r', 'p', 'v', 'm', 'f') and not pg_class.relispartition "
        ~ "and pg_attribute.attnum > 0 and not pg_attribute.attisdropped "
        ~ "and pg_namespace.nspname not in ('pg_catalog', 'information_schema') "
        ~ "and pg_namespace.nspname !~ '^pg_(toast|temp)' "
        ~ "and pg_class.relname !~ '__dbt_(tmp|backup)' "
        ~ "and format_type(pg_attribute.atttypid, null) ~ '^(text|character|jsonb?|citext|name|xml)' "
        ~ "and " ~ is_of_this_target('pg_namespace.nspname') ~ " "
        ~ ("and pg_namespace.nspname || '.' || pg_class.relname in ('" ~ only | join("', '") ~ "') " if only else "")
        ~ "and (pg_namespace.nspname || '.' || pg_class.relname in ('" ~ granted | join("', '") ~ "') "
        ~ "or exists (select from pg_catalog.pg_roles where (pg_roles.rolname in ('"
        ~ roles | join("', '") ~ "') "
        ~ "or not pg_roles.rolsuper and not pg_has_role(pg_roles.oid, pg_class.relowner, 'usage') "
        ~ "and exists (select from pg_catalog.pg_roles as readers where readers.rolname in ('"
        ~ roles | join("', '") ~ "') and pg_has_role(pg_roles.oid, readers.oid, 'usage')) "
        ~ "and not exists (select from pg_catalog.pg_roles as makers "
        ~ "where makers.rolname in ('haven_loader', 'haven_transformer') "
        ~ "and pg_has_role(pg_roles.oid, makers.oid, 'usage'))) "
        ~ "and has_schema_privilege(pg_roles.oid, pg_namespace.oid, 'usage') "
        ~ "and has_column_privilege(pg_roles.oid, pg_class.oid, pg_attribute.attnum, 'select'))) "
        ~ "order by 1, 2, pg_attribute.attnum"
    ) %}
        {% do found.append({
            'schema': row[0], 'relation': row[1], 'column': row[2], 'type': row[3],
            'is_visible': row[4],
            'meta': marks.get(row[0] ~ '.' ~ row[1] ~ '.' ~ row[2], unlisted.get(row[0], {})),
        }) %}
    {% endfor %}
    {{ return(found) }}
{% endmacro %}

{% macro personal_findings_sql(roles, kinds, only=none) %}
    {% set name_columns = [] %}
    {% for node in graph.nodes.values() if node.resource_type == 'model' and 'staging' in node.fqn %}
        {% for column in node.columns.values() %}
            {% set meta = column_meta(column) %}
            {% if meta.get('pii') == 'name' and adapter.get_relation(node.database, node.schema, node.alias) %}
                {% do name_columns.append(
                    'select lower(trim(' ~ column.name ~ ')) as known_name from ' ~ node.schema ~ '.' ~ node.alias) %}
            {% endif %}
        {% endfor %}
    {% endfor %}
    with

    known_names as (

        {{ name_columns | join(' union ') if name_columns else "select null::text as known_name where false" }}

    ),

    findings as (

        select
            null::text as column_name,
            null::text as reason
        where false
        {% for found in readable_columns(roles, kinds, only) %}
            {% set label = found.schema ~ '.' ~ found.relation ~ '.' ~ found.column %}
            {% set is_masked = found.meta.get('mask') in ['hash', 'partial', 'generalise', 'null'] %}
            {% set is_harmless = 'pii' in found.meta and not found.meta.get('pii') %}
            {% if found.meta.get('pii') and not is_masked %}
                union all
                select '{{ label }}', 'marked by meta.pii and not masked'
            {% elif personal_kind(found.column, found.meta, kinds) and not is_masked %}
                union all
                select
                    '{{ label }}',
                    'personal by its name ({{ personal_kind(found.column, found.meta, kinds) }}); mark it, or say meta.pii: false'
            {% endif %}
            {% if not found.is_visible %}
                union all
                select '{{ label }}', 'cannot be looked at by who runs this test'
            {% elif not is_harmless %}
                union all
                select '{{ label }}', 'sampled values look like ' || looks.kind
                from (
                    select
                        case
                            {% for kind in kinds if kind.column_values %}
                                when
                                    count(*) filter (
                                        where sampled.value ~ '{{ kind.column_values | replace("'", "''") }}'
                                    ) > {{ kind.share }} * count(*)
                                    then '{{ kind.kind }}'
                            {% endfor %}
                            when
                                count(*) filter (
                                    where lower(trim(sampled.value)) in (
                                        select known_names.known_name from known_names
                                    )
                                ) * 5 > count(*)
                                then 'name'
                        end as kind
                    from (
                        select distinct "{{ found.column }}"::text as value
                        from (
                            select "{{ found.column }}" from "{{ found.schema }}"."{{ found.relation }}"
                            where "{{ found.column }}" is not null
                            limit {{ var('personal_sample_rows') }}
                        ) as some_rows
                    ) as sampled
                ) as looks
                where looks.kind is not null
            {% endif %}
        {% endfor %}

    )

    select * from findings
{% endmacro %}
