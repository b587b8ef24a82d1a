{#- One row per group whose number of rows is not `factor` times the other table's. The other
    table's group and condition are this one's unless given. -#}
{% test expect_table_row_count_to_equal_other_table(
    model,
    compare_model,
    group_by=none,
    compare_group_by=none,
    factor=1,
    row_condition=none,
    compare_row_condition=none
) %}

{%- set columns = group_by or [] -%}
{%- set compare_columns = compare_group_by or columns -%}
{%- set compare_condition = compare_row_condition or row_condition -%}
with

here as (

    select
        {% for column in columns %}{{ column }} as col_{{ loop.index }}, {% endfor -%}
        count(*) as expression
    from {{ model }}
    {{ 'where ' ~ row_condition if row_condition }}
    {{ 'group by ' ~ columns | join(', ') if columns }}

),

there as (

    select
        {% for column in compare_columns %}{{ column }} as col_{{ loop.index }}, {% endfor -%}
        count(*) * {{ factor }} as compare_expression
    from {{ compare_model }}
    {{ 'where ' ~ compare_condition if compare_condition }}
    {{ 'group by ' ~ compare_columns | join(', ') if compare_columns }}

),

compared as (

    select
        {% for column in columns -%}
        coalesce(here.col_{{ loop.index }}, there.col_{{ loop.index }}) as col_{{ loop.index }},
        {% endfor -%}
        here.expression,
        there.compare_expression,
        abs(coalesce(here.expression, 0) - coalesce(there.compare_expression, 0))
            as expression_difference
    from here
    full join there
        on
            true
            {%- for column in columns %}
            and here.col_{{ loop.index }} = there.col_{{ loop.index }}
            {%- endfor %}

)

select
    *,
    expression_difference / nullif(expression * 1.0, 0) as expression_difference_percent
from compared
where expression_difference > 0

{% endtest %}
