{#- Values whose number of rows differs between this column and the other one. -#}
{% test cardinality_equality(model, column_name, to, field) %}

with

here as (

    select {{ column_name }}, count(*) as num_rows
    from {{ model }}
    group by {{ column_name }}

),

there as (

    select {{ field }}, count(*) as num_rows
    from {{ to }}
    group by {{ field }}

)

(select * from here except select * from there)
union all
(select * from there except select * from here)

{% endtest %}
