{% materialization incremental, adapter='postgres' %}
    {#- An increment is dbt's own. What makes the table anew, the first build and a full refresh, is done as for a
        table. -#}
    {% set existing = load_cached_relation(this) %}
    {% if existing is none or existing.type != 'table' or should_full_refresh() %}
        {{ return(build_table(sql)) }}
    {% endif %}
    {% do check_can_be_written(this) %}
    {#- Ends the transaction of that question: a pre-hook may set the isolation level of its own. -#}
    {% call statement('checked') %}select 1{% endcall %}
    {% do adapter.commit() %}
    {{ return(dbt.materialization_incremental_default()) }}
{% endmaterialization %}
