{#- `group by` over the grouping columns; nothing without groups. -#}
{% macro _group_clause(columns) -%}
    {%- if columns | length > 0 -%}group by {{ columns | join(', ') }}{%- endif -%}
{%- endmacro %}
