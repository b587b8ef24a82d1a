-- In which categories do orders come back?
with

categories as (

    select * from {{ ref('category_performance') }}

),

final as (

    select
        category_name,
        currency_code,
        sum(gross_amount) as sold_amount,
        round(
            100 * {{ dbt_utils.safe_divide('sum(refunded_amount)', 'sum(gross_amount)') }}, 2
        ) as refunded_pct
    from categories
    group by
        category_name,
        currency_code

)

select * from final
order by refunded_pct desc nulls last
