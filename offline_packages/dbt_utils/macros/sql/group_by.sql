{#- `group by 1,2,…,n`. -#}
{% macro group_by(n) -%}
    group by {{ range(1, n + 1) | join(',') }}
{%- endmacro %}
