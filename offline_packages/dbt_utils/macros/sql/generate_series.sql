{#- A select of generated_number: 1 to upper_bound. -#}
{% macro generate_series(upper_bound) %}
    {%- if upper_bound <= 0 -%}
        {{ exceptions.raise_compiler_error('upper bound must be positive') }}
    {%- endif %}
    select cast(series_number as double precision) as generated_number
    from generate_series(1, {{ upper_bound }}) as series_number
    order by generated_number
{% endmacro %}
