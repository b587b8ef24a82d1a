with

payments as (

    select * from {{ ref('stg_clutter_haven__payments') }}
    where {{ is_touched('payment_id') }}

),

payment_statuses as (

    select * from {{ ref('payment_statuses') }}
    where is_money_returned

),

earlier_refunds as (

    {% if is_incremental() %}
        select
            payment_id,
            refunded_at
        from {{ this }}
    {% else %}
        select
            null::bigint as payment_id,
            null::timestamptz as refunded_at
        where false
    {% endif %}

),

final as (

    -- The source keeps no time of the refund, only that of the row's last change. What it was when
    -- the refund was first seen is kept for good: a later change of the row must not move it.
    select
        -- ids
        payments.payment_id,
        payments.customer_id,

        -- strings
        payments.currency_code,

        -- numerics
        payments.payment_amount as refunded_amount,

        -- timestamps
        coalesce(earlier_refunds.refunded_at, payments.updated_at) as refunded_at,
        payments.created_at,

        -- load metadata
        payments._deleted_at
    from payments
    left join payment_statuses
        on payments.payment_status = payment_statuses.payment_status
    left join earlier_refunds
        on payments.payment_id = earlier_refunds.payment_id
    where
        payment_statuses.payment_status is not null
        or earlier_refunds.payment_id is not null

)

select * from final
