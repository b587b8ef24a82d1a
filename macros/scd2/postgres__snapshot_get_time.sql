{% macro postgres__snapshot_get_time() -%}
    {#- dbt-postgres takes a timestamp without time zone here and then notes in every run that the
        snapshots' updated_at, which has one, is of another type. -#}
    {{ current_timestamp() }}
{%- endmacro %}
