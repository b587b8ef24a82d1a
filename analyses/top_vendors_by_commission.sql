-- Which vendors earn us the most?
with

months as (

    select * from {{ ref('vendor_performance') }}

),

vendors as (

    select * from {{ ref('dim_vendors') }}

),

per_vendor as (

    -- An order is in the month of its day, so the months can be added up.
    select
        vendor_id,
        currency_code,
        sum(order_count) as order_count,
        sum(net_amount) as sales_amount,
        sum(commission_amount) as commission_amount
    from months
    group by
        vendor_id,
        currency_code

),

ranked as (

    select
        *,
        row_number() over (
            partition by currency_code
            order by commission_amount desc, vendor_id asc
        ) as rank_number
    from per_vendor

),

final as (

    select
        ranked.currency_code,
        ranked.rank_number,
        vendors.vendor_name,
        ranked.order_count,
        ranked.sales_amount,
        ranked.commission_amount
    from ranked
    inner join vendors
        on ranked.vendor_id = vendors.vendor_id and vendors.is_current
    where ranked.rank_number <= 20

)

select * from final
order by
    currency_code,
    rank_number
