-- Day number :day after the history of :orders orders: about :per_day orders are new or change, and what goes with them.
-- The same rows whatever the length of the history: half are new; the others are of the last 30 days, a tenth of them of
-- the last 100, which is all of the shorter history.
create function pg_temp.today() returns timestamptz language sql stable as $$
    select '2026-07-01 00:00:00+00'::timestamptz + :day * interval '1 day'
$$;

create temporary table changed_orders on commit drop as
select distinct
    case
        when n % 10 = 0 then :orders - abs(hashint8extended(n, :day)) % (:per_day * 100)
        else :orders - abs(hashint8extended(n, :day)) % (:per_day * 30)
    end as order_id
from generate_series(1, :per_day / 2) as n;

update raw.orders set
    order_status = case when orders.order_id % 2 = 0 then 'refunded' else 'delivered' end,
    updated_at = pg_temp.today(),
    _loaded_at = now(), _load_id = 1000 + :day,
    _deleted_at = case when orders.order_id % 100 = 0 then now() end
from changed_orders
where raw.orders.order_id = changed_orders.order_id;

update raw.payments set
    payment_status = 'refunded', _loaded_at = now(), _load_id = 1000 + :day
from changed_orders
where raw.payments.payment_id = changed_orders.order_id and changed_orders.order_id % 2 = 0;

insert into raw.orders (
    order_id, customer_id, order_status, currency_code, shipping_amount, discount_amount, shipping_address,
    ordered_at, created_at, updated_at, _loaded_at, _load_id
)
select
    :orders + :day * :per_day + n, n * 7919::bigint % (:orders / 10) + 1, 'paid', 'USD', 1, 0, '{}',
    -- One in a hundred is late, by up to 100 days.
    case
        when n % 100 = 0
            then '2026-07-01 00:00:00+00'::timestamptz - n * 37 % 100 * interval '1 day'
        else pg_temp.today() + n * interval '1 second'
    end,
    pg_temp.today(), pg_temp.today(), now(), 1000 + :day
from generate_series(1, :per_day / 2) as n;

insert into raw.order_items (
    order_item_id, order_id, product_id, quantity, unit_price, created_at, updated_at, _loaded_at, _load_id
)
select
    3::bigint * :orders + :day * :per_day * 2 + n, :orders + :day * :per_day + (n + 1) / 2,
    n * 104729::bigint % (:orders / 10) + 1, 1, 10, pg_temp.today(), pg_temp.today(), now(), 1000 + :day
from generate_series(1, :per_day) as n;

insert into raw.payments (
    payment_id, order_id, customer_id, payment_method, payment_status, amount, currency_code, paid_at,
    created_at, updated_at, _loaded_at, _load_id
)
select
    order_id, order_id, customer_id, 'card', 'captured', 21, 'USD', ordered_at, pg_temp.today(), pg_temp.today(), now(), 1000 + :day
from raw.orders
where _load_id = 1000 + :day and order_id > :orders;

insert into raw.bids (
    bid_id, product_id, customer_id, bid_amount, currency_code, bid_status, bid_at,
    created_at, updated_at, _loaded_at, _load_id
)
select
    :orders + :day * :per_day + n, n * 104729::bigint % (:orders / 10) + 1, n * 7919::bigint % (:orders / 10) + 1,
    5, 'USD', 'active', pg_temp.today(), pg_temp.today(), pg_temp.today(), now(), 1000 + :day
from generate_series(1, :per_day / 2) as n;

insert into raw.listing_views (
    view_id, product_id, customer_id, session_id, device, duration_seconds, viewed_at, created_at, _loaded_at, _load_id
)
select
    :orders + :day * :per_day + n, n * 104729::bigint % (:orders / 10) + 1, n * 7919::bigint % (:orders / 10) + 1,
    '00000000-0000-0000-0000-000000000000', 'phone', 1,
    pg_temp.today(), pg_temp.today(), now(), 1000 + :day
from generate_series(1, :per_day) as n;

update raw.customers set
    city = 'Town ' || :day, updated_at = pg_temp.today(), _loaded_at = now(), _load_id = 1000 + :day
where customer_id in (
    select abs(hashint8extended(n, :day)) % (:orders / 10) + 1 from generate_series(1, :per_day / 20) as n
);

update raw.products set
    price = price + 1, updated_at = pg_temp.today(), _loaded_at = now(), _load_id = 1000 + :day
where product_id in (
    select abs(hashint8extended(n, :day)) % (:orders / 10) + 1 from generate_series(1, :per_day / 20) as n
);

update raw.vendors set
    commission_rate = 0.2 - commission_rate, updated_at = pg_temp.today(), _loaded_at = now(), _load_id = 1000 + :day
where vendor_id = :day;
