{#- SQL for `value` lies between the bounds given; raises when there are none. -#}
{% macro _between(value, min_value, max_value, strictly=false) -%}
    {%- if min_value is none and max_value is none -%}
        {%- do exceptions.raise_compiler_error(
            'You have to provide either a min_value, max_value or both.'
        ) -%}
    {%- endif -%}
    {%- set equal = '' if strictly else '=' -%}
    (
        true
        {%- if min_value is not none %} and {{ value }} >{{ equal }} {{ min_value }}{% endif -%}
        {%- if max_value is not none %} and {{ value }} <{{ equal }} {{ max_value }}{% endif -%}
    )
{%- endmacro %}
