-- Which of our best customers have not bought for 90 days?
with

-- Named twice, so PostgreSQL would copy all of it first.
customers as not materialized (

    select * from {{ ref('customer_lifetime_value') }}

),

currencies as (

    select
        currency_code,
        ceil(count(*) / 10.0)::bigint as best_tenth,
        max(max(last_order_date)) over () as newest_order_date
    from customers
    group by currency_code

),

-- A limit for each currency reads only its best customers from the index; a ranking would sort
-- all of them.
best_customers as (

    select
        currencies.newest_order_date,
        ranked.*
    from currencies
    cross join lateral (
        select customers.*
        from customers
        where customers.currency_code = currencies.currency_code
        order by
            customers.net_amount desc,
            customers.customer_id asc
        limit currencies.best_tenth
    ) as ranked

),

final as (

    select
        customer_id,
        currency_code,
        net_amount,
        order_count,
        last_order_date,
        newest_order_date - last_order_date as quiet_days
    from best_customers
    where newest_order_date - last_order_date > 90

)

select * from final
order by
    net_amount desc,
    customer_id asc
