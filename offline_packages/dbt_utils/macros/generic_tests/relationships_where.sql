{#- Values without a match in the other relation, both sides filtered; null passes. -#}
{% test relationships_where(
    model, column_name, to, field, from_condition='1=1', to_condition='1=1'
) %}

with

here as (

    select {{ column_name }} as id
    from {{ model }}
    where {{ column_name }} is not null and {{ from_condition }}

),

there as (

    select {{ field }} as id
    from {{ to }}
    where {{ field }} is not null and {{ to_condition }}

)

select
    here.id,
    there.id as right_id
from here
left join there on here.id = there.id
where there.id is null

{% endtest %}
