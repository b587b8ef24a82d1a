-- Products, their price history, and the slots by which products and customers are chosen.
-- Slots: each row gets as many numbers as it is popular, in order of arrival. A choice on a day is
-- one number below the highest of the day before: skewed, and never a row that does not exist yet.

create temp table vendor_slots on commit drop as
select
    row_number() over (order by vendors.created_at, vendors.vendor_id, copies.copy_no) as slot,
    vendors.vendor_id,
    (vendors.created_at at time zone 'UTC')::date as arrival_day,
    haven_demo.currency_of(vendors.vendor_id) as currency_code
from vendors
cross join lateral generate_series(
    1, haven_demo.popularity(vendors.vendor_id, 'vendor')
) as copies (copy_no);

analyze sizes, faults, calendar, vendor_slots;

-- The first three are sold by vendor 1, in dollars: there is always something to order.
create temp table product_draft on commit drop as
with arrivals as (
    select
        listed.*,
        haven_demo.arrived_at(
            (listed.product_id - haven_demo.uniform(listed.product_id, 'arrival')) / sizes.products,
            0.25
        ) + interval '1 day' as listed_at,
        sizes.history_end
    from sizes
    cross join lateral haven_demo.new_products(1, sizes.products) as listed
),

newest_slots as (
    select
        arrival_day,
        max(slot) as slot
    from vendor_slots
    group by arrival_day
),

available as (
    select
        calendar.day,
        max(newest_slots.slot) as slots
    from calendar
    inner join newest_slots
        on calendar.day > newest_slots.arrival_day
    group by calendar.day
)

select
    arrivals.*,
    vendor_slots.vendor_id,
    vendor_slots.currency_code,
    case
        when haven_demo.uniform(arrivals.product_id, 'price changed') < 0.15
            then arrivals.listed_at + date_trunc(
                'second',
                (arrivals.history_end - arrivals.listed_at)
                * haven_demo.uniform(arrivals.product_id, 'price change time')
            )
    end as changed_at,
    round(
        arrivals.price
        * (0.8 + 0.5 * haven_demo.uniform(arrivals.product_id, 'old price'))::numeric, 2
    ) as old_price
from arrivals
inner join available
    on (arrivals.listed_at at time zone 'UTC')::date = available.day
inner join vendor_slots
    on vendor_slots.slot = case
        when arrivals.product_id <= 3 then 1
        else 1 + floor(haven_demo.uniform(arrivals.product_id, 'vendor') * available.slots)::bigint
    end;

insert into haven_demo.marks (kind, row_id)
select
    faults.kind,
    ranked.product_id
from (
    select
        product_id,
        row_number() over (
            order by haven_demo.uniform(product_id, 'fault'), product_id
        ) as place
    from product_draft
    where not haven_demo.is_dormant(product_id) and product_id > 3
) as ranked
inner join faults
    on faults.entity = 'products' and ranked.place between faults.first_place and faults.last_place;

update product_draft set
    price = -price,
    changed_at = null
from haven_demo.marks
where product_draft.product_id = marks.row_id and marks.kind = 'negative_prices';

update product_draft set changed_at = null
where listing_status = 'draft' or old_price = price;

insert into products (
    product_id, vendor_id, category_id, title, price, currency_code, condition, listing_status,
    tags, attributes, listed_at, created_at, updated_at
)
select
    product_id,
    vendor_id,
    category_id,
    title,
    price,
    currency_code,
    condition,
    listing_status,
    tags,
    attributes,
    listed_at,
    listed_at as created_at,
    coalesce(changed_at, listed_at) as updated_at
from product_draft;

insert into haven_demo.price_changes (product_id, changed_at, old_price, new_price)
select
    product_id,
    changed_at,
    old_price,
    price
from product_draft
where changed_at is not null;

create temp table product_slots on commit drop as
select
    row_number() over in_time as slot,
    row_number() over in_time_by_currency as currency_slot,
    drafts.product_id,
    drafts.currency_code,
    drafts.price,
    coalesce(drafts.changed_at, '-infinity') as changed_at,
    case when drafts.changed_at is null then drafts.price else drafts.old_price end as old_price,
    (drafts.listed_at at time zone 'UTC')::date as arrival_day
from product_draft as drafts
cross join
    lateral generate_series(
        1, haven_demo.popularity(drafts.product_id, 'product')
    ) as copies (copy_no)
where drafts.listing_status = 'active' and drafts.price > 0
window
    in_time as (order by drafts.listed_at, drafts.product_id, copies.copy_no),
    in_time_by_currency as (
        partition by drafts.currency_code
        order by drafts.listed_at, drafts.product_id, copies.copy_no
    );

create temp table customer_slots on commit drop as
select
    row_number() over (
        order by customers.created_at, customers.customer_id, copies.copy_no
    ) as slot,
    customers.customer_id,
    (customers.created_at at time zone 'UTC')::date as arrival_day
from customers
cross join
    lateral generate_series(
        1, haven_demo.popularity(customers.customer_id, 'customer')
    ) as copies (copy_no)
where not haven_demo.is_dormant(customers.customer_id);

-- Slots taken before each day of business.
create temp table business_days on commit drop as
with arrivals as (
    select
        arrival_day,
        max(slot) as customer_slot,
        0 as product_slot,
        0 as usd_slot,
        0 as eur_slot,
        0 as gbp_slot
    from customer_slots
    group by arrival_day
    union all
    select
        arrival_day,
        0,
        max(slot),
        coalesce(max(currency_slot) filter (where currency_code = 'USD'), 0),
        coalesce(max(currency_slot) filter (where currency_code = 'EUR'), 0),
        coalesce(max(currency_slot) filter (where currency_code = 'GBP'), 0)
    from product_slots
    group by arrival_day
)

select
    calendar.day,
    calendar.share_before,
    calendar.share_after,
    max(arrivals.customer_slot) as customer_slots,
    max(arrivals.product_slot) as product_slots,
    max(arrivals.usd_slot) as usd_slots,
    max(arrivals.eur_slot) as eur_slots,
    max(arrivals.gbp_slot) as gbp_slots
from calendar
inner join arrivals
    on calendar.day > arrivals.arrival_day
where calendar.share_after > 0
group by calendar.day, calendar.share_before, calendar.share_after;

analyze vendor_slots, product_slots, customer_slots, business_days;
