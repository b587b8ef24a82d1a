{% macro follow_widened_types() %}
    {#- dbt would put wider values into the old columns, where PostgreSQL rounds them without a word. The versions seen so far
        exist nowhere else, so the column follows. -#}
    {% if execute and load_cached_relation(this) is not none %}
        {% do run_query('create temporary view snapshot_input as ' ~ model.compiled_code) %}
        {% set new_columns = partition_columns('pg_temp.snapshot_input') %}
        {% do run_query('drop view pg_temp.snapshot_input') %}
        {% do widen_columns(new_columns, this) %}
    {% endif %}
{% endmacro %}
