-- Writes a history of :orders orders, :per_day a day up to the end of June 2026, into raw in place of what is there.
-- Customers and products are a tenth of the orders, so that each has as many of them whatever the length.
set local work_mem = '256MB';
set local maintenance_work_mem = '512MB';

create function pg_temp.instant(n bigint) returns timestamptz language sql immutable as $$
    select '2026-07-01 00:00:00+00'::timestamptz - (:orders - n + 1) * (interval '1 day' / :per_day)
$$;

truncate
raw.customers, raw.vendors, raw.products, raw.bids, raw.orders, raw.order_items, raw.payments, raw.listing_views;

do $$
declare
    made record;
begin
    -- Keys and indexes come after the rows, as in a first load.
    for made in
        select conrelid::regclass as relation, conname
        from pg_constraint
        where contype = 'p' and connamespace = 'raw'::regnamespace
        and conrelid::regclass::text not in ('raw.categories', 'raw.reviews')
    loop
        execute format('alter table %s drop constraint %I', made.relation, made.conname);
    end loop;
    for made in
        select indexrelid::regclass as relation
        from pg_index
        inner join pg_class on pg_index.indrelid = pg_class.oid
        where pg_class.relnamespace = 'raw'::regnamespace and relname not in ('categories', 'reviews')
    loop
        execute format('drop index %s', made.relation);
    end loop;
end
$$;

insert into raw.customers (
    customer_id, email, full_name, city, state_code, postal_code, country_code, is_marketing_opt_in, preferences,
    created_at, updated_at, _loaded_at, _load_id
)
select
    n, 'c' || n || '@mail.example', 'Customer ' || n, 'City ' || n % 500, 'OR', '97000', 'US', n % 3 = 0, '{}',
    '2020-01-02 00:00:00+00', '2020-01-02 00:00:00+00', now(), 1000
from generate_series(1, :orders / 10) as n;

insert into raw.vendors (
    vendor_id, vendor_name, contact_email, state_code, commission_rate, specialties, is_active,
    created_at, updated_at, _loaded_at, _load_id
)
select
    n, 'Vendor ' || n, 'v' || n || '@mail.example', 'OR', 0.05 + n % 10 * 0.01, '{}', true,
    '2020-01-02 00:00:00+00', '2020-01-02 00:00:00+00', now(), 1000
from generate_series(1, :orders / 1000 + 1) as n;

insert into raw.products (
    product_id, vendor_id, category_id, title, price, currency_code, condition, listing_status, tags, attributes,
    listed_at, created_at, updated_at, _loaded_at, _load_id
)
select
    n, n % (:orders / 1000) + 1, n % 8 + 1, 'Product ' || n, n % 300 + 1, 'USD', 'good', 'active', '{}', '{}',
    '2020-01-02 00:00:00+00', '2020-01-02 00:00:00+00', '2020-01-02 00:00:00+00', now(), 1000
from generate_series(1, :orders / 10) as n;

insert into raw.orders (
    order_id, customer_id, order_status, currency_code, shipping_amount, discount_amount, shipping_address,
    ordered_at, created_at, updated_at, _loaded_at, _load_id
)
select
    n, n * 7919::bigint % (:orders / 10) + 1,
    (array['paid', 'shipped', 'delivered', 'cancelled'])[n % 4 + 1], (array['USD', 'USD', 'EUR'])[n % 3 + 1],
    n % 9, 0, '{}', pg_temp.instant(n), pg_temp.instant(n), pg_temp.instant(n), now(), 1000
from generate_series(1, :orders) as n;

insert into raw.order_items (
    order_item_id, order_id, product_id, quantity, unit_price, created_at, updated_at, _loaded_at, _load_id
)
select
    n, (n - 1) * 5 / 12 + 1, n * 104729::bigint % (:orders / 10) + 1, n % 3 + 1, n % 300 + 1,
    pg_temp.instant((n - 1) * 5 / 12 + 1), pg_temp.instant((n - 1) * 5 / 12 + 1), now(), 1000
from generate_series(1, :orders::bigint * 12 / 5) as n;

insert into raw.payments (
    payment_id, order_id, customer_id, payment_method, payment_status, amount, currency_code, paid_at,
    created_at, updated_at, _loaded_at, _load_id
)
select
    n, n, n * 7919::bigint % (:orders / 10) + 1, 'card', 'captured', n % 300 + 1,
    (array['USD', 'USD', 'EUR'])[n % 3 + 1],
    pg_temp.instant(n), pg_temp.instant(n), pg_temp.instant(n), now(), 1000
from generate_series(1, :orders) as n;

insert into raw.bids (
    bid_id, product_id, customer_id, bid_amount, currency_code, bid_status, bid_at,
    created_at, updated_at, _loaded_at, _load_id
)
select
    n, n * 104729::bigint % (:orders / 10) + 1, n * 7919::bigint % (:orders / 10) + 1, n % 250 + 1, 'USD',
    'outbid', pg_temp.instant(n * 2), pg_temp.instant(n * 2), pg_temp.instant(n * 2), now(), 1000
from generate_series(1, :orders / 2) as n;

insert into raw.listing_views (
    view_id, product_id, customer_id, session_id, device, duration_seconds, viewed_at, created_at, _loaded_at, _load_id
)
select
    n, n * 104729::bigint % (:orders / 10) + 1,
    case when n % 5 < 3 then n * 7919::bigint % (:orders / 10) + 1 end,
    '00000000-0000-0000-0000-000000000000', 'phone', n % 60, pg_temp.instant(n), pg_temp.instant(n), now(), 1000
from generate_series(1, :orders) as n;

alter table raw.customers add primary key (customer_id);
alter table raw.vendors add primary key (vendor_id);
alter table raw.products add primary key (product_id);
alter table raw.orders add primary key (order_id);
alter table raw.order_items add primary key (order_item_id);
alter table raw.payments add primary key (payment_id);
alter table raw.bids add primary key (bid_id);
alter table raw.listing_views add primary key (view_id);
create index on raw.customers (_load_id) where _load_id > 1000;
create index on raw.vendors (_load_id) where _load_id > 1000;
create index on raw.products (_load_id) where _load_id > 1000;
create index on raw.orders (_load_id) where _load_id > 1000;
create index on raw.order_items (_load_id) where _load_id > 1000;
create index on raw.payments (_load_id) where _load_id > 1000;
create index on raw.bids (_load_id) where _load_id > 1000;
create index on raw.listing_views (_load_id) where _load_id > 1000;
analyze raw.customers, raw.vendors, raw.products, raw.orders, raw.order_items, raw.payments, raw.bids, raw.listing_views;

-- The snapshots of what was there before would be versions of other entities.
truncate snapshots.customers_snapshot, snapshots.vendors_snapshot, snapshots.products_snapshot;
