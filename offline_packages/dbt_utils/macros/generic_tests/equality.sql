{#- Rows that are in only one of two relations, as sets. Unless the columns are named, both must have
    the same ones. The difference between the two sides is added to the number of failing rows. -#}
{% test equality(model, compare_model, compare_columns=none, exclude_columns=none, precision=none) %}
{{ config(fail_calc="count(*) + coalesce(abs(
    count(*) filter (where which_diff = 'a_minus_b')
    - count(*) filter (where which_diff = 'b_minus_a')
), 0)") }}

{%- if compare_columns and exclude_columns -%}
    {{ exceptions.raise_compiler_error(
        "Both a compare and an ignore list were provided to the `equality` test. Only one is allowed"
    ) }}
{%- endif -%}

{%- if execute -%}
{%- do dbt_utils._require_relation(model, 'test_equality') -%}
{%- do dbt_utils._require_relation(compare_model, 'test_equality') -%}
{%- set selected = dbt_utils._equality_columns(
    model, compare_model, compare_columns, exclude_columns, precision
) -%}
with

here as (select {{ selected | join(', ') }} from {{ model }}),

there as (select {{ selected | join(', ') }} from {{ compare_model }})

select 'a_minus_b' as which_diff, only_here.*
from (select * from here except select * from there) as only_here
union all
select 'b_minus_a' as which_diff, only_there.*
from (select * from there except select * from here) as only_there
{%- endif -%}

{% endtest %}
