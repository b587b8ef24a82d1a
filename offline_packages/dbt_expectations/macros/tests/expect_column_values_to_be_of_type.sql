{#- One row when the column's type is another one, as the adapter names it (case is ignored).
    A column that does not exist passes: that is for expect_column_to_exist. -#}
{% test expect_column_values_to_be_of_type(model, column_name, column_type) %}

{%- if execute -%}
{%- set types = [] -%}
{%- for column in adapter.get_columns_in_relation(model) -%}
    {%- if column.name | upper == column_name | upper -%}
        {%- do types.append(column.dtype | upper) -%}
    {%- endif -%}
{%- endfor %}
select
    '{{ column_name | upper }}' as relation_column,
    '{{ types | first }}' as relation_column_type
where {{ types | length > 0 and types[0] != column_type | upper }}
{%- endif -%}

{% endtest %}
