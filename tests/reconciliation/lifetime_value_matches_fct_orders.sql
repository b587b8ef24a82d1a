-- What customers have brought in, and the history that predictions start from, agree with the
-- orders of each customer. A row here is a customer whose value was not computed anew, or twice.
with

orders as (

    select * from {{ ref('fct_orders') }}
    where is_revenue

),

lifetime_values as (

    select * from {{ ref('customer_lifetime_value') }}

),

predictions as (

    select * from {{ ref('predicted_customer_value') }}

),

expected as (

    select
        customer_id,
        currency_code,
        count(*) as order_count,
        sum(order_amount - refunded_amount) as net_amount,
        count(*) filter (where order_date <= {{ as_of_date() }}) as past_order_count
    from orders
    group by
        customer_id,
        currency_code

)

select
    expected.customer_id as expected_customer_id,
    lifetime_values.customer_id as lifetime_customer_id,
    predictions.customer_id as predicted_customer_id
from expected
full outer join lifetime_values
    on
        expected.customer_id = lifetime_values.customer_id
        and expected.currency_code = lifetime_values.currency_code
full outer join predictions
    on
        expected.customer_id = predictions.customer_id
        and expected.currency_code = predictions.currency_code
where
    expected.order_count is distinct from lifetime_values.order_count
    or expected.net_amount is distinct from lifetime_values.net_amount
    or nullif(expected.past_order_count, 0) is distinct from predictions.order_count
