{#- The time now in a time zone (default: the variable "dbt_date:time_zone"), without zone. -#}
{% macro now(tz=none) -%}
    cast(
        cast(now() as timestamp with time zone)
        at time zone '{{ tz or var("dbt_date:time_zone") }}' as timestamp
    )
{%- endmacro %}
