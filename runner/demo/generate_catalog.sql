-- First half of the filling: who and what there is, and which rows are faulty.

create temp table sizes on commit drop as
select
    greatest(round(5000 * scale), 80)::bigint as customers,
    greatest(round(300 * scale), 10)::bigint as vendors,
    greatest(round(8000 * scale), 100)::bigint as products,
    greatest(round(60000 * scale), 120)::bigint as bids,
    greatest(round(50000 * scale), 150)::bigint as orders,
    greatest(round(125000 * scale), 200)::bigint as sessions,
    '2026-07-01 00:00:00+00'::timestamptz as history_end
from haven_demo.state;

-- Faults in known numbers, at least 3 each. Rows of an entity are put in a random order; each kind
-- takes the next ones, so no row has two faults. original_customers are no fault: they are the rows
-- that duplicate_customers repeat, set aside so that nothing else happens to them.
create temp table faults on commit drop as
select
    kinds.kind,
    kinds.entity,
    quantities.quantity,
    sum(quantities.quantity) over by_entity - quantities.quantity + 1 as first_place,
    sum(quantities.quantity) over by_entity as last_place
from (
    values
    (1, 'untrimmed_state_codes', 'customers', 60),
    (2, 'lowercase_state_codes', 'customers', 45),
    (3, 'broken_emails', 'customers', 40),
    (4, 'duplicate_customers', 'customers', 35),
    (5, 'original_customers', 'customers', 35),
    (6, 'negative_prices', 'products', 20),
    (7, 'bids_at_or_above_price', 'bids', 120),
    (8, 'orders_without_payment', 'orders', 50),
    (9, 'payments_without_order', 'payments', 30),
    (10, 'payments_amount_mismatch', 'orders', 40),
    (11, 'late_payments', 'orders', 75)
) as kinds (kind_no, kind, entity, per_scale)
cross join
    lateral (
        select greatest(round(kinds.per_scale * state.scale), 3)::bigint as quantity
        from haven_demo.state
    ) as quantities
window by_entity as (partition by kinds.entity order by kinds.kind_no);

-- Growth over two years, weekends and the season before Christmas; business starts in week two.
create temp table calendar on commit drop as
select
    weighted.day,
    coalesce(
        sum(weighted.weight) over (
            order by weighted.day rows between unbounded preceding and 1 preceding
        ), 0
    ) / sum(weighted.weight) over () as share_before,
    sum(weighted.weight) over (order by weighted.day) / sum(weighted.weight) over () as share_after
from (
    select
        '2024-07-01'::date + day_no as day,
        case
            when day_no < 7 then 0
            else
                round(
                    (
                        (0.4 + 1.6 * day_no / 730)
                        * (array[1.12, 0.94, 0.92, 0.95, 1.0, 1.06, 1.18])[
                            1 + extract(dow from '2024-07-01'::date + day_no)::integer
                        ]
                        * (array[0.85, 0.9, 0.97, 1, 1, 0.97, 0.92, 0.95, 1, 1.05, 1.35, 1.5])[
                            extract(month from '2024-07-01'::date + day_no)::integer
                        ]
                        * (0.9 + 0.2 * haven_demo.uniform(day_no, 'day'))
                    )::numeric, 6
                )
        end as weight
    from generate_series(0, 729) as days (day_no)
) as weighted;

-- customers

insert into customers (
    customer_id, email, full_name, phone, city, state_code, postal_code, is_marketing_opt_in,
    preferences, created_at, updated_at
)
select
    people.customer_id,
    people.email,
    people.full_name,
    people.phone,
    people.city,
    people.state_code,
    people.postal_code,
    people.is_marketing_opt_in,
    people.preferences,
    arrivals.created_at,
    case
        when haven_demo.uniform(people.customer_id, 'edited') < 0.25
            then arrivals.created_at + date_trunc(
                'second',
                (sizes.history_end - arrivals.created_at)
                * haven_demo.uniform(people.customer_id, 'edit time')
            )
        else arrivals.created_at
    end as updated_at
from sizes
cross join lateral haven_demo.new_customers(1, sizes.customers) as people
cross join lateral (
    select
        haven_demo.arrived_at(
            (people.customer_id - haven_demo.uniform(people.customer_id, 'arrival'))
            / sizes.customers,
            0.12
        ) as created_at
) as arrivals;

create temp table marked_customers on commit drop as
select
    faults.kind,
    ranked.customer_id,
    ranked.place - faults.first_place as pair
from (
    select
        customer_id,
        row_number() over (
            order by haven_demo.uniform(customer_id, 'fault'), customer_id
        ) as place
    from customers
    where not haven_demo.is_dormant(customer_id)
) as ranked
inner join faults
    on
        faults.entity = 'customers'
        and ranked.place between faults.first_place and faults.last_place;

-- Of a pair the later customer is the duplicate.
create temp table duplicates on commit drop as
select
    greatest(repeated.customer_id, originals.customer_id) as customer_id,
    least(repeated.customer_id, originals.customer_id) as original_id
from marked_customers as repeated
inner join marked_customers as originals
    on repeated.pair = originals.pair
where repeated.kind = 'duplicate_customers' and originals.kind = 'original_customers';

insert into haven_demo.marks (kind, row_id)
select
    kind,
    customer_id
from marked_customers
where kind not in ('duplicate_customers', 'original_customers')
union all
select
    'duplicate_customers' as kind,
    customer_id
from duplicates
union all
select
    'original_customers' as kind,
    original_id
from duplicates;

update customers set
    state_code = case marks.kind
        when 'lowercase_state_codes' then lower(customers.state_code)
        else
            case when customers.customer_id % 3 <> 1 then ' ' else '' end || customers.state_code
            || case when customers.customer_id % 3 <> 2 then ' ' else '' end
    end
from haven_demo.marks
where
    customers.customer_id = marks.row_id
    and marks.kind in ('untrimmed_state_codes', 'lowercase_state_codes');

update customers set
    email = case customers.customer_id % 5
        when 0 then replace(customers.email, '@', ' at ')
        when 1 then replace(customers.email, '@', '')
        when 2 then replace(customers.email, '@', '@@')
        when 3 then customers.email || '.'
        else split_part(customers.email, '.', 1) || customers.customer_id || '@mailbox'
    end
from haven_demo.marks
where customers.customer_id = marks.row_id and marks.kind = 'broken_emails';

update customers set
    full_name = originals.full_name,
    email = case customers.customer_id % 4
        when 0 then upper(originals.email)
        when 1 then initcap(originals.email) || ' '
        when 2 then ' ' || originals.email
        else ' ' || upper(originals.email) || ' '
    end
from duplicates
inner join customers as originals
    on duplicates.original_id = originals.customer_id
where customers.customer_id = duplicates.customer_id;

-- vendors: the first ten are there from the first minutes on.

insert into vendors (
    vendor_id, vendor_name, contact_email, state_code, commission_rate, specialties, is_active,
    created_at, updated_at
)
select
    shops.vendor_id,
    shops.name_start || ' ' || shops.name_end || ' ' || shops.vendor_id as vendor_name,
    'hello@' || lower(shops.name_start || '-' || shops.name_end) || shops.vendor_id
    || '.example.com' as contact_email,
    places.state_code,
    0.05 + 0.005 * floor(haven_demo.uniform(shops.vendor_id, 'rate') * 27)::integer
        as commission_rate,
    array(
        select categories.category_name
        from categories
        where
            categories.category_id % 8 = shops.vendor_id % 8
            and categories.parent_category_id is not null
            and haven_demo.uniform(categories.category_id, 'specialty', shops.vendor_id) < 0.5
        order by categories.category_id
    ) as specialties,
    haven_demo.uniform(shops.vendor_id, 'active') >= 0.05 as is_active,
    shops.created_at,
    case
        when haven_demo.uniform(shops.vendor_id, 'edited') < 0.3
            then shops.created_at + date_trunc(
                'second',
                (sizes.history_end - shops.created_at)
                * haven_demo.uniform(shops.vendor_id, 'edit time')
            )
        else shops.created_at
    end as updated_at
from sizes
cross join
    lateral (
        select
            ids.vendor_id,
            haven_demo.pick(words.shop_names, ids.vendor_id, 'shop name') as name_start,
            haven_demo.pick(words.shop_kinds, ids.vendor_id, 'shop kind') as name_end,
            case
                when ids.vendor_id <= 10
                    then
                        '2024-07-01 00:00:00+00'::timestamptz
                        + make_interval(mins => ids.vendor_id::integer)
                else
                    haven_demo.arrived_at(
                        (ids.vendor_id - haven_demo.uniform(ids.vendor_id, 'arrival'))
                        / sizes.vendors,
                        0.35
                    )
            end as created_at
        from generate_series(1, sizes.vendors) as ids (vendor_id)
        cross join haven_demo.words
    ) as shops
inner join haven_demo.places
    on places.place_id = 1 + floor(
        (select count(*) from haven_demo.places)
        * power(haven_demo.uniform(shops.vendor_id, 'place'), 1.2)
    )::bigint;
