{% macro node_results() %}
    {#- Where this target keeps its results: the source `results.node_results`, from whose columns in the YAML the table is
        made and filled; none while dbt parses, or in a project without it. -#}
    {% for source in (graph.sources.values() if execute else [])
        if source.source_name == 'results' and source.name == 'node_results' %}
        {{ return(source) }}
    {% endfor %}
    {{ return(none) }}
{% endmacro %}

{% macro create_node_results() %}
    {#- `haven load` makes the table in ops, where dbt may make none (runner/ops/migrations, runner/access/roles.sql). A
        developer's own is made here, and any that lacks a column; never a schema: ops is the loader's. -#}
    {% set table = node_results() %}
    {% set missing = _missing_columns(table) if table else [] %}
    {% if missing and run_query(
        "select coalesce(has_schema_privilege(to_regnamespace('" ~ table.schema ~ "'), 'create'), false)")[0][0] %}
        create table if not exists {{ table.relation_name }} ();
        alter table {{ table.relation_name }}
        {% for column in missing %}
            add column if not exists {{ column.name }} {{ column.data_type }}{{ ',' if not loop.last }}
        {% endfor %};
        create index if not exists node_results_by_node on {{ table.relation_name }} (node_id, recorded_at);
        create index if not exists node_results_by_run on {{ table.relation_name }} (run_id);
    {% endif %}
{% endmacro %}

{% macro can_save_node_results(table) %}
    {% if _missing_columns(table) %}
        {% set reason = 'is not there, or an older one: `haven load` makes it' %}
    {% elif not run_query("select has_table_privilege('" ~ table.relation_name ~ "', 'insert')")[0][0] %}
        {% set reason = 'may not be written by dbt: `haven access` gives the right' %}
    {% endif %}
    {% if reason %}
        {% do log('The results of this run are not kept: ' ~ table.relation_name ~ ' ' ~ reason, info=true) %}
    {% endif %}
    {{ return(not reason) }}
{% endmacro %}

{% macro _missing_columns(table) %}
    {% set present = run_query(
        "select string_agg(attname, ',') from pg_catalog.pg_attribute where attrelid = to_regclass('"
        ~ table.relation_name ~ "') and attnum > 0 and not attisdropped")[0][0] or '' %}
    {{ return(table.columns.values() | rejectattr('name', 'in', present.split(',')) | list) }}
{% endmacro %}
