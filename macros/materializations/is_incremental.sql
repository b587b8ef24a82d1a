{% macro is_incremental() %}
    {#- dbt's own says false for every materialization but its `incremental`. For `partitioned` it is also
        false while a window is rebuilt: the query has to give the whole window, not what is new. So it is where the
        strategy asks which keys all rows have (_all_keys_sql). -#}
    {% if not execute %}
        {{ return(false) }}
    {% endif %}
    {% set relation = load_cached_relation(this) %}
    {% set is_partitioned = model.config.materialized == 'partitioned' %}
    {{ return(
        relation is not none
        and relation.type == 'table'
        and (is_partitioned or model.config.materialized == 'incremental')
        and not should_full_refresh()
        and not (is_partitioned and partition_window())
        and not model.get('is_unfiltered')
    ) }}
{% endmacro %}
