-- New bids, reviews and page views of the day.

with added as (
    insert into bids (
        bid_id, product_id, customer_id, bid_amount, currency_code, bid_status, bid_at, created_at,
        updated_at
    )
    select
        moments.bid_id,
        offers.product_id,
        buyers.customer_id,
        round(
            offers.lowest_price
            * (0.4 + 0.55 * haven_demo.uniform(moments.bid_id, 'amount'))::numeric, 2
        ) as bid_amount,
        offers.currency_code,
        'active' as bid_status,
        moments.bid_at,
        moments.bid_at + interval '1 second' as created_at,
        moments.bid_at + interval '1 second' as updated_at
    from (
        select
            newest.bid_id + place_no as bid_id,
            turn.day_start + haven_demo.time_of_day(newest.bid_id + place_no, 'bid') as bid_at
        from quotas
        cross join turn
        cross join (select max(bid_id) as bid_id from bids) as newest
        cross join lateral generate_series(1, quotas.new_bids) as places (place_no)
    ) as moments
    inner join pools
        on pools.wish = haven_demo.pick_currency(moments.bid_id)
    inner join offers
        on
            pools.currency_code = offers.currency_code
            and offers.place = 1 + floor(
                power(haven_demo.uniform(moments.bid_id, 'product'), 3) * pools.offer_count
            )::bigint
    inner join buyers
        on buyers.place = 1 + floor(
            power(haven_demo.uniform(moments.bid_id, 'customer'), 3) * pools.buyer_count
        )::bigint
    returning 1
)

insert into counts
select
    'inserted' as action,
    'bids' as subject,
    count(*) as row_count
from added;

-- Of what was delivered in the last month before the day.
with bought as (
    select
        order_items.order_item_id,
        order_items.product_id,
        orders.customer_id,
        turn.turn_no,
        turn.day_start
        + haven_demo.time_of_day(order_items.order_item_id, 'review time', turn.turn_no)
            as reviewed_at
    from orders
    cross join turn
    inner join order_items
        on orders.order_id = order_items.order_id
    where
        orders.order_status = 'delivered'
        and orders.updated_at >= turn.day_start - interval '30 days'
        and orders.updated_at < turn.day_start
    order by
        haven_demo.uniform(order_items.order_item_id, 'reviewed', turn.turn_no),
        order_items.order_item_id
    limit (select new_reviews from quotas)
),

added as (
    insert into reviews (
        review_id, product_id, customer_id, rating, review_text, reviewed_at, created_at,
        updated_at
    )
    select
        newest.review_id + row_number() over (order by bought.order_item_id) as review_id,
        bought.product_id,
        bought.customer_id,
        1 + floor(5 * sqrt(haven_demo.uniform(bought.order_item_id, 'rating', bought.turn_no)))
            as rating,
        haven_demo.pick(words.review_texts, bought.order_item_id, 'review') as review_text,
        bought.reviewed_at,
        bought.reviewed_at + interval '1 second' as created_at,
        bought.reviewed_at + interval '1 second' as updated_at
    from bought
    cross join haven_demo.words
    cross join (select max(review_id) as review_id from reviews) as newest
    returning 1
)

insert into counts
select
    'inserted' as action,
    'reviews' as subject,
    count(*) as row_count
from added;

with pages as (
    select
        visits.*,
        visits.session_no * 8 + page_no as view_id,
        turn.day_start + visits.started_after + page_no * interval '90 seconds' as viewed_at
    from quotas
    cross join turn
    cross join (select max(view_id) / 8 as session_no from listing_views) as newest
    cross join
        lateral haven_demo.new_sessions(
            newest.session_no + 1, newest.session_no + quotas.new_sessions
        ) as visits
    cross join lateral generate_series(1, visits.page_count) as page_nos (page_no)
),

added as (
    insert into listing_views (
        view_id, product_id, customer_id, session_id, device, referrer, duration_seconds,
        viewed_at, created_at
    )
    select
        pages.view_id,
        offers.product_id,
        case when pages.is_signed_in then buyers.customer_id end as customer_id,
        pages.session_id,
        pages.device,
        pages.referrer,
        1 + floor(-40 * ln(1 - haven_demo.uniform(pages.view_id, 'duration')))::integer
            as duration_seconds,
        pages.viewed_at,
        pages.viewed_at + make_interval(secs => pages.view_id % 5) as created_at
    from pages
    inner join pools
        on pools.wish = haven_demo.pick_currency(pages.view_id)
    inner join offers
        on
            pools.currency_code = offers.currency_code
            and offers.place = 1 + floor(
                power(haven_demo.uniform(pages.view_id, 'product'), 3) * pools.offer_count
            )::bigint
    inner join buyers
        on buyers.place = 1 + floor(
            power(haven_demo.uniform(pages.session_no, 'visitor'), 3) * pools.buyer_count
        )::bigint
    returning 1
)

insert into counts
select
    'inserted' as action,
    'listing_views' as subject,
    count(*) as row_count
from added;
