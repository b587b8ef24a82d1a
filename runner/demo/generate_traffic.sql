-- Bids, reviews and page views; then keys, indexes, statistics and the numbers of faults.

create temp table bid_draft on commit drop as
select
    ids.bid_id,
    product_slots.product_id,
    product_slots.currency_code,
    product_slots.price,
    product_slots.old_price,
    customer_slots.customer_id,
    business_days.day::timestamp at time zone 'UTC'
    + haven_demo.time_of_day(ids.bid_id, 'bid') as bid_at,
    sizes.history_end
from sizes
cross join business_days
cross join
    lateral generate_series(
        1 + floor(business_days.share_before * sizes.bids)::bigint,
        floor(business_days.share_after * sizes.bids)::bigint
    ) as ids (bid_id)
inner join product_slots
    on product_slots.slot = 1 + floor(
        haven_demo.uniform(ids.bid_id, 'product') * business_days.product_slots
    )::bigint
inner join customer_slots
    on customer_slots.slot = 1 + floor(
        haven_demo.uniform(ids.bid_id, 'customer') * business_days.customer_slots
    )::bigint;

insert into haven_demo.marks (kind, row_id)
select
    faults.kind,
    ranked.bid_id
from (
    select
        bid_id,
        row_number() over (order by haven_demo.uniform(bid_id, 'fault'), bid_id) as place
    from bid_draft
) as ranked
inner join faults
    on faults.entity = 'bids' and ranked.place between faults.first_place and faults.last_place;

-- Below every price the product ever had; the faulty ones at or above every one.
insert into bids (
    bid_id, product_id, customer_id, bid_amount, currency_code, bid_status, bid_at, created_at,
    updated_at
)
select
    offers.bid_id,
    offers.product_id,
    offers.customer_id,
    offers.bid_amount,
    offers.currency_code,
    offers.bid_status::bid_status as bid_status,
    offers.bid_at,
    offers.bid_at + interval '1 second' as created_at,
    case
        when offers.bid_status = 'active' then offers.bid_at + interval '1 second'
        else
            offers.bid_at + interval '1 second' + date_trunc(
                'second',
                least(interval '10 days', offers.history_end - offers.bid_at - interval '1 minute')
                * haven_demo.uniform(offers.bid_id, 'outcome time')
            )
    end as updated_at
from (
    select
        bid_draft.*,
        case
            when marks.row_id is null
                then round(
                    least(bid_draft.price, bid_draft.old_price)
                    * (0.4 + 0.55 * haven_demo.uniform(bid_draft.bid_id, 'amount'))::numeric, 2
                )
            when bid_draft.bid_id % 3 = 0 then greatest(bid_draft.price, bid_draft.old_price)
            else round(greatest(bid_draft.price, bid_draft.old_price) * 1.15, 2)
        end as bid_amount,
        case
            when bid_draft.bid_at > bid_draft.history_end - interval '14 days'
                then case
                    when haven_demo.uniform(bid_draft.bid_id, 'outcome') < 0.7 then 'active'
                    else 'outbid'
                end
            when haven_demo.uniform(bid_draft.bid_id, 'outcome') < 0.1 then 'won'
            when haven_demo.uniform(bid_draft.bid_id, 'outcome') < 0.15 then 'withdrawn'
            else 'outbid'
        end as bid_status
    from bid_draft
    left join haven_demo.marks
        on bid_draft.bid_id = marks.row_id and marks.kind = 'bids_at_or_above_price'
) as offers;

-- Some buyers review what was delivered to them.
insert into reviews (
    review_id, product_id, customer_id, rating, review_text, reviewed_at, created_at, updated_at
)
select
    row_number() over (order by written.reviewed_at, written.order_item_id) as review_id,
    written.product_id,
    written.customer_id,
    (array[1, 2, 3, 3, 4, 4, 4, 5, 5, 5, 5, 5])[
        1 + floor(haven_demo.uniform(written.order_item_id, 'rating') * 12)::integer
    ] as rating,
    case
        when haven_demo.uniform(written.order_item_id, 'text') < 0.75
            then haven_demo.pick(words.review_texts, written.order_item_id, 'review')
    end as review_text,
    written.reviewed_at,
    written.reviewed_at + interval '1 second' as created_at,
    case
        when
            haven_demo.uniform(written.order_item_id, 'edited') < 0.05
            and written.reviewed_at < written.history_end - interval '3 days'
            then written.reviewed_at + interval '2 days'
        else written.reviewed_at + interval '1 second'
    end as updated_at
from (
    select
        order_items.order_item_id,
        order_items.product_id,
        order_draft.customer_id,
        sizes.history_end,
        order_draft.delivered_at + make_interval(
            secs => 86400
            + floor(haven_demo.uniform(order_items.order_item_id, 'review time') * 2160000)
        ) as reviewed_at
    from order_items
    cross join sizes
    inner join order_draft
        on order_items.order_id = order_draft.order_id
    where
        order_draft.order_status = 'delivered'
        and haven_demo.uniform(order_items.order_item_id, 'reviewed') < 0.146
) as written
cross join haven_demo.words
where written.reviewed_at < written.history_end - interval '1 minute';

-- The id of a view is that of its session and the number of the page.
insert into listing_views (
    view_id, product_id, customer_id, session_id, device, referrer, duration_seconds, viewed_at,
    created_at
)
select
    pages.view_id,
    product_slots.product_id,
    case when pages.is_signed_in then customer_slots.customer_id end as customer_id,
    pages.session_id,
    pages.device,
    pages.referrer,
    1 + floor(-40 * ln(1 - haven_demo.uniform(pages.view_id, 'duration')))::integer
        as duration_seconds,
    pages.viewed_at,
    pages.viewed_at + make_interval(secs => pages.view_id % 5) as created_at
from (
    select
        visits.*,
        business_days.product_slots,
        business_days.customer_slots,
        visits.session_no * 8 + page_no as view_id,
        business_days.day::timestamp at time zone 'UTC'
        + visits.started_after + page_no * interval '90 seconds' as viewed_at
    from sizes
    cross join business_days
    cross join
        lateral haven_demo.new_sessions(
            1 + floor(business_days.share_before * sizes.sessions)::bigint,
            floor(business_days.share_after * sizes.sessions)::bigint
        ) as visits
    cross join lateral generate_series(1, visits.page_count) as page_nos (page_no)
) as pages
inner join product_slots
    on product_slots.slot = 1 + floor(
        haven_demo.uniform(pages.view_id, 'product') * pages.product_slots
    )::bigint
inner join customer_slots
    on customer_slots.slot = 1 + floor(
        haven_demo.uniform(pages.session_no, 'visitor') * pages.customer_slots
    )::bigint;

-- Some listings ended: after their last order and bid.
update products set
    listing_status = case
        when haven_demo.uniform(products.product_id, 'ended') < 0.08 then 'sold' else 'withdrawn'
    end::listing_status,
    updated_at = greatest(products.updated_at, activity.last_at + interval '1 hour')
from (
    select
        events.product_id,
        max(events.happened_at) as last_at
    from (
        select
            order_items.product_id,
            orders.ordered_at as happened_at
        from order_items
        inner join orders
            on order_items.order_id = orders.order_id
        union all
        select
            product_id,
            bid_at
        from bids
    ) as events
    group by events.product_id
) as activity
cross join sizes
where
    products.product_id = activity.product_id
    and haven_demo.uniform(products.product_id, 'ended') < 0.13
    and activity.last_at < sizes.history_end - interval '2 hours';

do $$
declare
    change record;
begin
    for change in select restoration from set_aside loop
        execute change.restoration;
    end loop;
end
$$;

analyze customers, vendors, categories, products, bids, orders, order_items, payments, reviews,
listing_views, haven_demo.marks, haven_demo.price_changes, haven_demo.places;

update haven_demo.state set
    planted = (
        select jsonb_object_agg(faults.kind, faults.quantity)
        from faults
        where faults.kind <> 'original_customers'
    );
