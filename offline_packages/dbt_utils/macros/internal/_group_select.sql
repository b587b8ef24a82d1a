{#- The grouping columns as the head of a select list, comma included; nothing without groups. -#}
{% macro _group_select(columns) -%}
    {%- for column in columns %}{{ column }}, {% endfor -%}
{%- endmacro %}
