{% macro partition_children(relation) %}
    {#- The partitions of a table: relation (quoted name), name, bound, holds (the condition a row in it
        fulfils), ends (the upper bound as text, of a range) and is_default. -#}
    {% set query %}
        select
            format('%I.%I', schemas.nspname, tables.relname),
            tables.relname,
            pg_get_expr(tables.relpartbound, tables.oid),
            pg_get_partition_constraintdef(tables.oid),
            substring(pg_get_expr(tables.relpartbound, tables.oid) from 'TO \(''?([^'')]+)''?\)$'),
            tables.oid = partitioned.partdefid
        from pg_catalog.pg_inherits as links
        inner join pg_catalog.pg_class as tables on links.inhrelid = tables.oid
        inner join pg_catalog.pg_namespace as schemas on tables.relnamespace = schemas.oid
        inner join pg_catalog.pg_partitioned_table as partitioned
            on links.inhparent = partitioned.partrelid
        where links.inhparent = '{{ relation }}'::regclass
        order by tables.relname
    {% endset %}
    {% set found = run_query(query) %}
    {% set children = [] %}
    {% for row in found %}
        {% do children.append({
            'relation': row[0], 'name': row[1], 'bound': row[2], 'holds': row[3], 'ends': row[4],
            'is_default': row[5],
        }) %}
    {% endfor %}
    {{ return(children) }}
{% endmacro %}

{% macro check_partitioned_relation(relation, spec, advice=none) %}
    {#- An increment is only for a table that is partitioned as the model says now. -#}
    {% set advice = advice or 'run dbt with --full-refresh --select ' ~ model.name %}
    {% set wanted = spec.method | upper ~ ' (' ~ spec.column ~ ')' %}
    {% set found = run_query(
        "select replace(pg_get_partkeydef(oid), '\"', '') from pg_catalog.pg_class where oid = '"
        ~ relation ~ "'::regclass and relkind = 'p'") %}
    {% if not found.rows %}
        {% do _partition_error(
            relation ~ ' is not a partitioned table; ' ~ advice) %}
    {% elif found.rows[0][0] != wanted %}
        {% do _partition_error(
            relation ~ ' is partitioned by ' ~ found.rows[0][0] ~ ', the model wants ' ~ wanted
            ~ '; ' ~ advice) %}
    {% endif %}
{% endmacro %}

{% macro partition_name(suffix, tail='') %}
    {{ return(short_name(this.identifier, '__' ~ suffix ~ tail)) }}
{% endmacro %}

{% macro partition_relation(name) %}
    {{ return(api.Relation.create(database=this.database, schema=this.schema, identifier=name, type='table')) }}
{% endmacro %}
