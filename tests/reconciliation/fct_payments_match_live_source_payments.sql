-- Count and total of payments agree with the source, per status. A row here is a status whose
-- payments were lost, doubled or not computed anew.
with

source_payments as (

    select * from {{ ref('stg_clutter_haven__payments') }}
    where not is_deleted

),

fact_payments as (

    select * from {{ ref('fct_payments') }}

),

source_totals as (

    select
        payment_status,
        count(*) as payment_count,
        sum(payment_amount) as payment_amount
    from source_payments
    group by payment_status

),

fact_totals as (

    select
        payment_status,
        count(*) as payment_count,
        sum(payment_amount) as payment_amount
    from fact_payments
    group by payment_status

)

select
    source_totals.payment_status as source_payment_status,
    fact_totals.payment_status as fact_payment_status,
    source_totals.payment_count as source_payment_count,
    fact_totals.payment_count as fact_payment_count
from source_totals
full outer join fact_totals
    on source_totals.payment_status = fact_totals.payment_status
where
    source_totals.payment_count is distinct from fact_totals.payment_count
    or source_totals.payment_amount is distinct from fact_totals.payment_amount
