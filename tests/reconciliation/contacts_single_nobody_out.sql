-- A row is a combination of what customer_contacts and dim_customers show of a customer that fewer
-- than contact_group_size customers have: who reads both marts could tell who it is.
with

contacts as (

    select * from {{ ref('customer_contacts') }}

),

members as (

    select * from {{ ref('dim_customers') }}
    where is_current

),

final as (

    select
        members.country_code,
        members.state_code,
        members.city,
        members.email_domain,
        contacts.postal_area,
        contacts.email_masked,
        contacts.name_initials,
        contacts.phone_masked,
        count(*) as customer_count
    from contacts
    inner join members
        on contacts.customer_id = members.customer_id
    where
        coalesce(
            contacts.postal_area,
            contacts.email_masked,
            contacts.name_initials,
            contacts.phone_masked
        ) is not null
    group by
        members.country_code,
        members.state_code,
        members.city,
        members.email_domain,
        contacts.postal_area,
        contacts.email_masked,
        contacts.name_initials,
        contacts.phone_masked
    having count(*) < {{ var('contact_group_size') }}

)

select * from final
