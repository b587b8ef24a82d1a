{% set contacts = 'stg_clutter_haven__customers' %}

with

customers as (

    select * from {{ ref(contacts) }}
    where not is_deleted

),

final as (

    select
        -- ids
        customer_id,

        -- strings
        {{ mask(contacts, 'email') }} as email_hash,
        {{ mask(contacts, 'email', 'partial') }} as email_masked,
        {{ mask(contacts, 'full_name') }} as name_initials,
        {{ mask(contacts, 'phone') }} as phone_masked,
        {{ mask(contacts, 'postal_code') }} as postal_area,

        -- booleans
        coalesce(is_email_valid, false) as is_email_valid,
        is_marketing_opt_in
    from customers

)

select * from final
