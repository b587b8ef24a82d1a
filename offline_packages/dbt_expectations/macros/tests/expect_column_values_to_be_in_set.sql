{#- Rows whose value is not in the set; null is in no set. -#}
{% test expect_column_values_to_be_in_set(
    model, column_name, value_set, quote_values=true, row_condition=none
) %}

{%- set members = [] -%}
{%- for value in value_set -%}
    {%- do members.append("cast('" ~ value ~ "' as text)" if quote_values else value) -%}
{%- endfor -%}
select {{ column_name }} as value_field
from {{ model }}
where
    coalesce({{ column_name }} in ({{ members | join(', ') }}), false) = false
    {{ 'and (' ~ row_condition ~ ')' if row_condition }}

{% endtest %}
