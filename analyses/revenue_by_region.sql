-- Where did our customers live, and what did they spend there?
with

regions as (

    select * from {{ ref('regional_revenue') }}

),

final as (

    select
        region_name,
        currency_code,
        sum(order_count) as order_count,
        sum(net_amount) as net_amount
    from regions
    group by
        region_name,
        currency_code

)

select * from final
order by
    currency_code asc,
    net_amount desc
