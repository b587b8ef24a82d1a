{#- Ranges that overlap the next one, are empty or (as asked) leave or lack a gap. -#}
{% test mutually_exclusive_ranges(
    model,
    lower_bound_column,
    upper_bound_column,
    partition_by=none,
    gaps='allowed',
    zero_length_range_allowed=false
) %}

{%- set operators = {
    'not_allowed': ('=', 'equal_to'),
    'allowed': ('<=', 'less_than_or_equal_to'),
    'required': ('<', 'less_than'),
} -%}
{%- if gaps not in operators -%}
    {{ exceptions.raise_compiler_error(
        "`gaps` argument for mutually_exclusive_ranges test must be one of "
        ~ "['not_allowed', 'allowed', 'required']. Got: '" ~ gaps ~ "'."
    ) }}
{%- endif -%}
{%- set next_operator, next_words = operators[gaps] -%}
{%- set bounds_operator, bounds_words =
    operators['allowed' if zero_length_range_allowed else 'required'] -%}
{%- set bounds_check = 'lower_bound_' ~ bounds_words ~ '_upper_bound' -%}
{%- set next_check = 'upper_bound_' ~ next_words ~ '_next_lower_bound' -%}
{%- set window = ('partition by ' ~ partition_by ~ ' ' if partition_by else '')
    ~ 'order by ' ~ lower_bound_column ~ ', ' ~ upper_bound_column -%}
with

ranges as (

    select
        {{ partition_by ~ ' as partition_by_col,' if partition_by }}
        {{ lower_bound_column }} as lower_bound,
        {{ upper_bound_column }} as upper_bound,
        lead({{ lower_bound_column }}) over ({{ window }}) as next_lower_bound,
        row_number() over (
            {{ 'partition by ' ~ partition_by if partition_by }}
            order by {{ lower_bound_column }} desc, {{ upper_bound_column }} desc
        ) = 1 as is_last_record
    from {{ model }}

),

checked as (

    select
        *,
        coalesce(lower_bound {{ bounds_operator }} upper_bound, false)
            as {{ bounds_check }},
        coalesce(upper_bound {{ next_operator }} next_lower_bound, is_last_record, false)
            as {{ next_check }}
    from ranges

)

select *
from checked
where not ({{ bounds_check }} and {{ next_check }})

{% endtest %}
