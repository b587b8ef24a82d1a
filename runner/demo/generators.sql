-- New rows of customers and products for a range of ids; the filling and every tick use the same.

create function haven_demo.new_customers(first_id bigint, last_id bigint)
returns table (
    customer_id bigint,
    email text,
    full_name text,
    phone text,
    city text,
    state_code text,
    postal_code text,
    is_marketing_opt_in boolean,
    preferences jsonb
)
language sql stable parallel safe
begin atomic
    select
        ids.customer_id,
        lower(names.first_name || '.' || names.last_name) || ids.customer_id || '@'
        || haven_demo.pick(names.mail_domains, ids.customer_id, 'mail domain') as email,
        names.first_name || ' ' || names.last_name as full_name,
        case
            when haven_demo.uniform(ids.customer_id, 'phone') >= 0.15 then
                '+1 ' || 201 + floor(haven_demo.uniform(ids.customer_id, 'area') * 700)::integer
                || ' 555 01' || lpad((ids.customer_id % 100)::text, 2, '0')
        end as phone,
        places.city,
        places.state_code,
        places.postal_prefix || lpad(
            floor(haven_demo.uniform(ids.customer_id, 'postal code') * 100)::integer::text, 2, '0'
        ) as postal_code,
        haven_demo.uniform(ids.customer_id, 'opt in') < 0.4 as is_marketing_opt_in,
        case
            when haven_demo.uniform(ids.customer_id, 'preferences') < 0.3 then '{}'::jsonb
            else
                jsonb_build_object(
                    'language',
                    case
                        when haven_demo.uniform(ids.customer_id, 'language') < 0.85 then 'en'
                        else 'es'
                    end,
                    'favorite_categories',
                    jsonb_build_array(
                        9 + floor(haven_demo.uniform(ids.customer_id, 'favorite') * 32)::integer
                    )
                )
        end as preferences
    from generate_series(first_id, last_id) as ids (customer_id)
    cross join
        lateral (
            select
                words.mail_domains,
                haven_demo.pick(words.first_names, ids.customer_id, 'first name') as first_name,
                haven_demo.pick(words.last_names, ids.customer_id, 'last name') as last_name
            from haven_demo.words
        ) as names
    inner join haven_demo.places
        on places.place_id = 1 + floor(
            (select count(*) from haven_demo.places)
            * power(haven_demo.uniform(ids.customer_id, 'place'), 1.5)
        )::bigint;
end;

create function haven_demo.new_products(first_id bigint, last_id bigint)
returns table (
    product_id bigint,
    category_id integer,
    title text,
    price numeric,
    condition product_condition,
    listing_status listing_status,
    tags text[],
    attributes jsonb
)
language sql stable parallel safe
begin atomic
    select
        ids.product_id,
        categories.category_id,
        haven_demo.pick(words.adjectives, ids.product_id, 'adjective') || ' '
        || lower(categories.category_name) as title,
        round(
            (4 * exp(5.5 * power(haven_demo.uniform(ids.product_id, 'price'), 1.6)))::numeric, 0
        ) + 0.99 as price,
        (array['new', 'new', 'like_new', 'good', 'good', 'fair', 'poor'])[
            1 + floor(haven_demo.uniform(ids.product_id, 'condition') * 7)::integer
        ]::product_condition as condition,
        case
            when haven_demo.is_dormant(ids.product_id) then 'draft' else 'active'
        end::listing_status as listing_status,
        case
            when haven_demo.uniform(ids.product_id, 'tagged') < 0.3 then '{}'
            when haven_demo.uniform(ids.product_id, 'tagged') < 0.7
                then array[haven_demo.pick(words.tags, ids.product_id, 'tag')]
            else array[
                haven_demo.pick(words.tags, ids.product_id, 'tag'),
                haven_demo.pick(words.colors, ids.product_id, 'color')
            ]
        end as tags,
        jsonb_build_object(
            'color', haven_demo.pick(words.colors, ids.product_id, 'color'),
            'weight_grams',
            50 + floor(haven_demo.uniform(ids.product_id, 'weight') * 12000)::integer
        ) as attributes
    from generate_series(first_id, last_id) as ids (product_id)
    cross join haven_demo.words
    inner join categories
        on
            categories.category_id
            = 9 + floor(haven_demo.uniform(ids.product_id, 'category') * 32)::integer;
end;

-- One expression, so that it becomes part of the query instead of a call per row.
create function haven_demo.shipping_address(order_id bigint, customer customers, streets text[])
returns jsonb
language sql stable parallel safe
return jsonb_build_object(
    'name', customer.full_name,
    'street',
    1 + floor(haven_demo.uniform(customer.customer_id, 'house') * 900)::integer
    || ' ' || haven_demo.pick(streets, customer.customer_id, 'street'),
    'city', customer.city,
    'state_code', upper(trim(customer.state_code)),
    'postal_code', customer.postal_code,
    'country_code', customer.country_code,
    'is_gift', haven_demo.uniform(order_id, 'gift') < 0.08
);

-- Visits of 1 to 7 pages, 4 on average, with one device and one visitor each.
create function haven_demo.new_sessions(first_id bigint, last_id bigint)
returns table (
    session_no bigint,
    session_id uuid,
    device text,
    referrer text,
    is_signed_in boolean,
    started_after interval,
    page_count integer
)
language sql stable parallel safe
begin atomic
    select
        ids.session_no,
        md5(
            floor(haven_demo.uniform(ids.session_no, 'session') * 1000000000000)::bigint
            || ' ' || ids.session_no
        )::uuid as session_id,
        (array[
            'mobile', 'mobile', 'mobile', 'mobile', 'mobile', 'mobile', 'desktop', 'desktop',
            'desktop', 'tablet'
        ])[
            1 + floor(haven_demo.uniform(ids.session_no, 'device') * 10)::integer
        ] as device,
        (array['google', 'google', 'google', 'instagram', 'newsletter', 'pinterest', null, null])[
            1 + floor(haven_demo.uniform(ids.session_no, 'referrer') * 8)::integer
        ] as referrer,
        haven_demo.uniform(ids.session_no, 'signed in') < 0.45 as is_signed_in,
        haven_demo.time_of_day(ids.session_no, 'session') as started_after,
        1 + floor(haven_demo.uniform(ids.session_no, 'pages') * 7)::integer as page_count
    from generate_series(first_id, last_id) as ids (session_no);
end;
