{#- Rows whose value is not the previous one plus `interval` (numbers, or dateparts of time). -#}
{% test sequential_values(
    model, column_name, interval=1, datepart=none, group_by_columns=[]
) %}

{%- set window -%}
    {%- if group_by_columns | length > 0 %}partition by {{ group_by_columns | join(', ') }} {% endif -%}
    order by {{ column_name }}
{%- endset %}
with

windowed as (

    select
        {{ dbt_utils._group_select(group_by_columns) }}
        {{ column_name }},
        lag({{ column_name }}) over ({{ window }}) as previous_{{ column_name }}
    from {{ model }}

)

select *
from windowed
{%- if datepart %}
where
    not (
        cast({{ column_name }} as timestamp)
        = cast({{ dbt.dateadd(datepart, interval, 'previous_' ~ column_name) }} as timestamp)
    )
{%- else %}
where not ({{ column_name }} = previous_{{ column_name }} + {{ interval }})
{%- endif %}

{% endtest %}
