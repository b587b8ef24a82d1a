{#- One row per combination that occurs more than once. Rows are left out whose columns are all
    null ("all_values_are_missing") or any null ("any_value_is_missing"). -#}
{% test expect_compound_columns_to_be_unique(
    model,
    column_list,
    quote_columns=false,
    ignore_row_if='all_values_are_missing',
    row_condition=none
) %}

{%- if not column_list -%}
    {{ exceptions.raise_compiler_error('`column_list` must be a list of one or more columns.') }}
{%- endif -%}
{%- set joins = {'all_values_are_missing': ' and ', 'any_value_is_missing': ' or '} -%}
{%- if ignore_row_if not in joins -%}
    {{ exceptions.raise_compiler_error(
        "`ignore_row_if` must be one of ['all_values_are_missing', 'any_value_is_missing']. Got: '"
        ~ ignore_row_if ~ "'."
    ) }}
{%- endif -%}
{%- set columns = [] -%}
{%- set missing = [] -%}
{%- for column in column_list -%}
    {%- set name = adapter.quote(column) if quote_columns else column -%}
    {%- do columns.append(name) -%}
    {%- do missing.append(name ~ ' is null') -%}
{%- endfor %}
select
    {{ columns | join(', ') }},
    count(*) as n_records
from {{ model }}
where
    not ({{ missing | join(joins[ignore_row_if]) }})
    {{ 'and (' ~ row_condition ~ ')' if row_condition }}
group by {{ columns | join(', ') }}
having count(*) > 1

{% endtest %}
