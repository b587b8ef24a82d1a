{% macro lower_ascii(expression) -%}
    {{ _ascii_case('lower', expression) }}
{%- endmacro %}

{% macro upper_ascii(expression) -%}
    {{ _ascii_case('upper', expression) }}
{%- endmacro %}

{% macro _ascii_case(function_name, expression) -%}
    {#- The locale of a database decides what its lower and upper do: a Turkish one makes 'ı' of 'I', and C
        leaves 'É' alone. Codes and addresses are ASCII, so they are spelled alike in every database. -#}
    {{ function_name }}({{ expression }} collate "C") collate "default"
{%- endmacro %}
