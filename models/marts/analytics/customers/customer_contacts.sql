{#- What is shown here can be put beside what dim_customers shows of the same customer. So a masked
    value is shown only where at least contact_group_size customers have it together with all of
    that, and with what is shown before it; values of smaller groups are left out, and all values of
    a group where those left out would be too few again. -#}
{% set contacts = 'stg_clutter_haven__customers' %}
{% set known = ['country_code', 'state_code', 'city', 'email_domain'] %}
{% set shown = ['postal_area', 'email_masked', 'name_initials', 'phone_masked'] %}
{% set group_size = var('contact_group_size') %}

with

customers as (

    select * from {{ ref(contacts) }}
    where not is_deleted

),

current_members as (

    select * from {{ ref('dim_customers') }}
    where is_current

),

masked as (

    select
        customer_id,
        {{ mask(contacts, 'email') }} as email_hash,
        {{ mask(contacts, 'email', 'partial') }} as email_masked,
        {{ mask(contacts, 'full_name') }} as name_initials,
        {{ mask(contacts, 'phone') }} as phone_masked,
        {{ mask(contacts, 'postal_code') }} as postal_area,
        coalesce(is_email_valid, false) as is_email_valid,
        is_marketing_opt_in
    from customers

),

known_0 as (

    select
        masked.*,
        current_members.country_code,
        current_members.state_code,
        current_members.city,
        current_members.email_domain
    from masked
    left join current_members
        on masked.customer_id = current_members.customer_id

),

{% for column in shown %}
    {% set beside = (known + shown[:loop.index0]) | join(', ') %}
    counted_{{ loop.index }} as (

        select
            *,
            count(*) over (partition by {{ beside }}, {{ column }}) as same_count
        from known_{{ loop.index0 }}

    ),

    judged_{{ loop.index }} as (

        select
            *,
            count(*) filter (where {{ column }} is null or same_count < {{ group_size }})
                over (partition by {{ beside }}) as hidden_count
        from counted_{{ loop.index }}

    ),

    known_{{ loop.index }} as (

        select
            customer_id,
            email_hash,
            is_email_valid,
            is_marketing_opt_in,
            {{ known | join(', ') }},
            {% for other in shown if other != column %}
                {{ other }},
            {% endfor %}
            case
                when
                    same_count >= {{ group_size }}
                    and (hidden_count = 0 or hidden_count >= {{ group_size }})
                    then {{ column }}
            end as {{ column }}
        from judged_{{ loop.index }}

    ),

{% endfor %}
final as (

    select
        -- ids
        customer_id,

        -- strings
        email_hash,
        email_masked,
        name_initials,
        phone_masked,
        postal_area,

        -- booleans
        is_email_valid,
        is_marketing_opt_in
    from known_{{ shown | length }}

)

select * from final
