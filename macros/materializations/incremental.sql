{% materialization incremental, adapter='postgres' %}
    {#- An increment is dbt's own. What makes the table anew, the first build and a full refresh, is done as for a
        table. -#}
    {% set existing = load_cached_relation(this) %}
    {% if existing is none or existing.type != 'table' or should_full_refresh() %}
        {{ return(build_table(sql)) }}
    {% endif %}
    {% do check_can_be_written(this) %}
    {#- A pre-hook may set the isolation level, which only the first query of a transaction can. dbt's own commit would
        leave the session without a transaction: the driver does not notice it, and begins none. -#}
    {% call statement('begin_anew') %}commit; begin{% endcall %}
    {{ return(dbt.materialization_incremental_default()) }}
{% endmaterialization %}
