{% materialization incremental, adapter='postgres' %}
    {#- An increment is dbt's own. What makes the table anew, the first build and a full refresh, is done as for a
        table. -#}
    {% set existing = load_cached_relation(this) %}
    {% if existing is none or existing.type != 'table' or should_full_refresh() %}
        {{ return(build_table(sql)) }}
    {% endif %}
    {% do check_can_be_written(this) %}
    {{ return(dbt.materialization_incremental_default()) }}
{% endmaterialization %}
