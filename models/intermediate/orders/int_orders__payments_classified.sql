-- Row by row on purpose, as int_orders__items_joined.
select
    -- ids
    payments.payment_id,
    payments.order_id,
    payments.customer_id,

    -- strings
    payments.payment_method,
    payments.payment_status,
    payments.currency_code,

    -- numerics
    payments.payment_amount,
    case
        when payment_statuses.is_money_received then payments.payment_amount else 0.00
    end as received_amount,
    case
        when payment_statuses.is_money_returned then payments.payment_amount else 0.00
    end as refunded_amount,

    -- booleans
    coalesce(payment_statuses.is_money_received, false) as is_received,
    -- A difference: a time plus days depends on the session's time zone where its clock changes.
    payments.created_at - payments.paid_at > interval '{{ var("late_payment_days") }} days'
        as is_late,

    -- timestamps
    payments.paid_at,
    payments.created_at
from {{ ref('stg_clutter_haven__payments') }} as payments
left join {{ ref('payment_statuses') }} as payment_statuses
    on payments.payment_status = payment_statuses.payment_status
where not payments.is_deleted
