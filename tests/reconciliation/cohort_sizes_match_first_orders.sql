-- Cohorts add up to the customers with a revenue order up to the as-of day, and what their months
-- count to the customers active in them. A row here is a customer in two cohorts or in none.
with

cohorts as (

    select * from {{ ref('cohort_retention') }}

),

orders as (

    select * from {{ ref('fct_orders') }}
    where is_revenue and order_date <= {{ as_of_date() }}

),

active_months as (

    select
        customer_id,
        date_trunc('month', order_date::timestamp) as active_month
    from orders
    group by
        customer_id,
        date_trunc('month', order_date::timestamp)

),

counted as (

    select
        coalesce(sum(cohort_customer_count) filter (where months_since_first_order = 0), 0)
            as cohort_customer_count,
        coalesce(sum(active_customer_count), 0) as active_customer_count
    from cohorts

),

expected as (

    select
        count(distinct customer_id) as customer_count,
        count(*) as active_customer_count
    from active_months

)

select
    counted.cohort_customer_count,
    expected.customer_count,
    counted.active_customer_count,
    expected.active_customer_count as expected_active_customer_count
from counted
cross join expected
where
    counted.cohort_customer_count is distinct from expected.customer_count
    or counted.active_customer_count is distinct from expected.active_customer_count
