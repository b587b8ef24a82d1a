{#- One row per group in which the sums of the columns do not add up to `sum_total`. -#}
{% test expect_multicolumn_sum_to_equal(
    model, column_list, sum_total, group_by=none, row_condition=none
) %}

{%- set sums = [] -%}
{%- for column in column_list -%}
    {%- do sums.append('sum(' ~ column ~ ')') -%}
{%- endfor -%}
{{ dbt_expectations._failing_expressions(
    model, sums | join(' + ') ~ ' = ' ~ sum_total, group_by, row_condition
) }}

{% endtest %}
