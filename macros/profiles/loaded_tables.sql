{% macro loaded_tables(kinds) %}
    {#- What the loader has loaded, as PostgreSQL's catalog has it, and which columns are personal by the YAML, by name
        or by type. One query for all tables; names come back quoted, so that any name will do. -#}
    {% set sources, wanted, tables = {}, [], [] %}
    {% for source in (graph.sources.values() if execute else []) %}
        {% if 'load' in source.meta or 'load' in source.source_meta or 'load' in source.config.get('meta', {}) %}
            {% do sources.update({source.unique_id: source}) %}
            {% set is_folded = source.quoting.get('schema') is false, source.quoting.get('identifier') is false %}
            {% do wanted.append([
                source.unique_id,
                source.schema | lower if is_folded[0] else source.schema,
                source.identifier | lower if is_folded[1] else source.identifier,
            ]) %}
        {% endif %}
    {% endfor %}
    {% if wanted %}
        {% set found = fromjson(run_query(_loaded_columns_sql(wanted))[0][0] or '[]') %}
        {% set marks = personal_marks() %}
        {% for table in found %}
            {% set source = sources[table.source_id] %}
            {% do table.update({
                'label': source.source_name ~ '.' ~ source.name,
                'source_name': source.source_name,
                'table_name': source.name,
            }) %}
            {% for column in table.columns %}
                {% set meta = column_meta(source.columns.get(column.name, {})) %}
                {% do column.update({
                    'kind': _profile_kind(column),
                    'personal_reason': _personal_reason(column, meta, marks, kinds),
                    'is_harmless': meta.get('pii') is false or marks.get(column.name | lower) is false,
                }) %}
            {% endfor %}
            {% do tables.append(table) %}
        {% endfor %}
    {% endif %}
    {{ return(tables | sort(attribute='source_id')) }}
{% endmacro %}

{% macro personal_marks() %}
    {#- What meta.pii says of a column's name anywhere in the project: true wins over false. -#}
    {% set marks = {} %}
    {% for node in graph.nodes.values() | list + graph.sources.values() | list %}
        {% for column in node.columns.values() if column_meta(column).get('pii') is not none %}
            {% set name = column.name | lower %}
            {% do marks.update({name: (marks.get(name) or column_meta(column).pii) not in [false, none]}) %}
        {% endfor %}
    {% endfor %}
    {{ return(marks) }}
{% endmacro %}

{% macro sql_literal(value) %}
    {{ return('null' if value is none else "'" ~ (value | string).replace("'", "''") ~ "'") }}
{% endmacro %}

{% macro _personal_reason(column, meta, marks, kinds) %}
    {% set is_named = marks.get(column.name | lower) %}
    {% if meta.get('pii') is not none or meta.get('erase') %}
        {{ return('marked as personal in the YAML' if meta.get('pii') or meta.get('erase') else none) }}
    {% elif is_named or is_named is none and personal_kind(column.name, {}, kinds) %}
        {{ return('its name is that of personal data') }}
    {% elif column.type_name in ['inet', 'cidr', 'macaddr', 'macaddr8'] %}
        {{ return('network addresses may be personal') }}
    {% endif %}
    {{ return(none) }}
{% endmacro %}

{% macro _profile_kind(column) %}
    {% if column.type_name in ['int2', 'int4', 'int8', 'numeric', 'float4', 'float8', 'money'] %}
        {{ return('number') }}
    {% elif column.type_name in ['date', 'timestamp', 'timestamptz'] %}
        {{ return('time') }}
    {% elif column.type_name in ['time', 'timetz', 'interval'] %}
        {{ return('clock') }}
    {% endif %}
    {{ return({'S': 'text', 'B': 'boolean'}.get(column.category, 'other')) }}
{% endmacro %}

{% macro _loaded_columns_sql(wanted) %}
    with

    wanted as (

        select *
        from (
            values
            {% for source_id, schema_name, table_name in wanted %}
            (
                {{ sql_literal(source_id) }},
                {{ sql_literal(schema_name) }}::name,
                {{ sql_literal(table_name) }}::name
            ){{ ',' if not loop.last }}
            {% endfor %}
        ) as listed (source_id, schema_name, table_name)

    ),

    columns as (

        select
            pg_attribute.attrelid as table_id,
            json_agg(
                json_build_object(
                    'name', pg_attribute.attname,
                    'quoted', quote_ident(pg_attribute.attname),
                    'literal', quote_literal(pg_attribute.attname),
                    'data_type', format_type(pg_attribute.atttypid, pg_attribute.atttypmod),
                    'type_name', base_types.typname,
                    'category', base_types.typcategory,
                    'is_key', coalesce(pg_attribute.attnum = any(pg_index.indkey), false),
                    'planned_distinct', pg_stats.n_distinct
                ) order by pg_attribute.attnum
            ) as columns
        from pg_catalog.pg_attribute
        inner join pg_catalog.pg_class on pg_attribute.attrelid = pg_class.oid
        inner join pg_catalog.pg_namespace on pg_class.relnamespace = pg_namespace.oid
        inner join wanted
            on
                pg_namespace.nspname = wanted.schema_name
                and pg_class.relname = wanted.table_name
        inner join pg_catalog.pg_type on pg_attribute.atttypid = pg_type.oid
        inner join pg_catalog.pg_type as base_types
            on coalesce(nullif(pg_type.typbasetype, 0), pg_type.oid) = base_types.oid
        left join pg_catalog.pg_index
            on pg_attribute.attrelid = pg_index.indrelid and pg_index.indisprimary
        left join pg_catalog.pg_stats
            on
                pg_namespace.nspname = pg_stats.schemaname
                and pg_class.relname = pg_stats.tablename
                and pg_attribute.attname = pg_stats.attname
                and pg_stats.inherited = (pg_class.relkind = 'p')
        where
            pg_attribute.attnum > 0
            and not pg_attribute.attisdropped
            and pg_attribute.attname not in ('_loaded_at', '_load_id', '_deleted_at')
        group by pg_attribute.attrelid

    )

    select
        json_agg(
            json_build_object(
                'source_id', wanted.source_id,
                'schema', pg_namespace.nspname,
                'name', pg_class.relname,
                'relation', format('%I.%I', pg_namespace.nspname, pg_class.relname),
                'can_be_sampled', pg_class.relkind in ('r', 'p', 'm'),
                'size_bytes', (
                    select sum(pg_total_relation_size(parts.part_id))
                    from (
                        select pg_class.oid as part_id
                        union
                        select pg_inherits.inhrelid from pg_catalog.pg_inherits
                        where pg_inherits.inhparent = pg_class.oid
                    ) as parts
                ),
                'has_tombstones', exists (
                    select from pg_catalog.pg_attribute
                    where
                        pg_attribute.attrelid = pg_class.oid
                        and pg_attribute.attname = '_deleted_at'
                        and not pg_attribute.attisdropped
                ),
                'columns', columns.columns
            )
        )::text
    from wanted
    inner join pg_catalog.pg_namespace on wanted.schema_name = pg_namespace.nspname
    inner join pg_catalog.pg_class
        on pg_namespace.oid = pg_class.relnamespace and wanted.table_name = pg_class.relname
    inner join columns on pg_class.oid = columns.table_id
    where pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
{% endmacro %}
