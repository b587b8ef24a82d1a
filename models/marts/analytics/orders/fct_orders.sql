with

orders as (

    select * from {{ ref('stg_clutter_haven__orders') }}
    where not is_deleted and {{ is_touched('order_id') }}

),

items as (

    select * from {{ ref('int_orders__items_joined') }}
    where {{ is_touched('order_id') }}

),

payments as (

    select * from {{ ref('int_orders__payments_classified') }}
    where {{ is_touched('order_id') }}

),

order_statuses as (

    select * from {{ ref('order_statuses') }}

),

customers as (

    select * from {{ ref('dim_customers') }}

),

items_per_order as (

    select
        order_id,
        sum(quantity) as item_count,
        sum(item_amount) as items_amount
    from items
    group by order_id

),

payments_per_order as (

    -- Money in the order's own currency only: amounts of different currencies are never added up.
    -- What came in another is an item of payment_open_items.
    select
        payments.order_id,
        count(*) as payment_count,
        sum(payments.received_amount) filter (
            where payments.currency_code = orders.currency_code
        ) as paid_amount,
        sum(payments.refunded_amount) filter (
            where payments.currency_code = orders.currency_code
        ) as refunded_amount,
        min(payments.paid_at) filter (
            where payments.is_received and payments.currency_code = orders.currency_code
        ) as first_paid_at,
        max(payments.paid_at) filter (
            where payments.is_received and payments.currency_code = orders.currency_code
        ) as last_paid_at
    from payments
    inner join orders
        on payments.order_id = orders.order_id
    group by payments.order_id

),

amounts as (

    select
        orders.order_id,
        orders.customer_id,
        orders.order_status,
        orders.currency_code,
        orders.shipping_amount,
        orders.discount_amount,
        orders.ordered_at,
        payments_per_order.first_paid_at,
        payments_per_order.last_paid_at,
        coalesce(items_per_order.item_count, 0) as item_count,
        coalesce(items_per_order.items_amount, 0.00) as items_amount,
        coalesce(items_per_order.items_amount, 0.00)
        + orders.shipping_amount
        - orders.discount_amount as order_amount,
        coalesce(payments_per_order.payment_count, 0) as payment_count,
        coalesce(payments_per_order.paid_amount, 0.00) as paid_amount,
        coalesce(payments_per_order.refunded_amount, 0.00) as refunded_amount
    from orders
    left join items_per_order
        on orders.order_id = items_per_order.order_id
    left join payments_per_order
        on orders.order_id = payments_per_order.order_id

),

final as (

    select
        -- ids
        amounts.order_id,
        amounts.customer_id,
        coalesce(customers.customer_key, {{ unknown_member_key() }}) as customer_key,

        -- strings
        amounts.order_status,
        amounts.currency_code,

        -- numerics
        amounts.item_count,
        amounts.payment_count,
        amounts.items_amount,
        amounts.shipping_amount,
        amounts.discount_amount,
        amounts.order_amount,
        amounts.paid_amount,
        amounts.refunded_amount,

        -- booleans
        coalesce(order_statuses.is_revenue, false) as is_revenue,
        amounts.first_paid_at is not null
        and amounts.paid_amount >= amounts.order_amount as is_paid,

        -- dates
        (amounts.ordered_at at time zone 'UTC')::date as order_date,

        -- timestamps
        amounts.ordered_at,
        amounts.first_paid_at,
        amounts.last_paid_at
    from amounts
    left join order_statuses
        on amounts.order_status = order_statuses.order_status
    left join customers
        on
            amounts.customer_id = customers.customer_id
            and amounts.ordered_at >= customers.valid_from
            and amounts.ordered_at < customers.valid_to

)

select * from final
