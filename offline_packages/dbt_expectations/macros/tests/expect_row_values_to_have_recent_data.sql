{#- One row when the newest value that is not in the future is older than `interval` dateparts. -#}
{% test expect_row_values_to_have_recent_data(
    model, column_name, datepart, interval, row_condition=none
) %}

with

newest as (

    select max(cast({{ column_name }} as timestamp)) as max_timestamp
    from {{ model }}
    where
        cast({{ column_name }} as timestamp) <= {{ dbt_date.now() }}
        {{ 'and (' ~ row_condition ~ ')' if row_condition }}

)

select *
from newest
where
    max_timestamp is null
    or max_timestamp < {{ dbt.dateadd(datepart, interval * -1, dbt_date.now()) }}

{% endtest %}
