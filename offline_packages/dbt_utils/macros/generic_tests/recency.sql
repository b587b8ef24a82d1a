{#- One row per group whose newest value is older than `interval` dateparts before now. -#}
{% test recency(model, field, datepart, interval, ignore_time_component=false, group_by_columns=[]) %}

{%- set type = 'date' if ignore_time_component else 'timestamp without time zone' -%}
with

newest as (

    select
        {{ dbt_utils._group_select(group_by_columns) }}
        max({{ 'cast(' ~ field ~ ' as date)' if ignore_time_component else field }}) as most_recent
    from {{ model }}
    {{ dbt_utils._group_clause(group_by_columns) }}

)

select
    {{ dbt_utils._group_select(group_by_columns) }}
    most_recent,
    cast(
        {{ dbt.dateadd(datepart, interval * -1, dbt.current_timestamp()) }} as {{ type }}
    ) as threshold
from newest
where
    most_recent < cast(
        {{ dbt.dateadd(datepart, interval * -1, dbt.current_timestamp()) }} as {{ type }}
    )

{% endtest %}
