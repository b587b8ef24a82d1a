-- Hard deletes. Ids never come back: what is deleted is never the newest row of its table.

with deleted as (
    delete from bids
    using bid_plan
    where bids.bid_id = bid_plan.bid_id and bid_plan.action = 'delete'
    returning 1
)

insert into counts
select
    'deleted' as action,
    'bids' as subject,
    count(*) as row_count
from deleted;

with chosen as (
    select
        reviews.review_id,
        turn.turn_no
    from reviews
    cross join turn
    where
        reviews.updated_at >= turn.day_start - interval '90 days'
        and reviews.updated_at < turn.day_start - interval '10 days'
    order by haven_demo.uniform(reviews.review_id, 'deleted', turn.turn_no), reviews.review_id
    limit (select deleted_reviews from quotas)
),

deleted as (
    delete from reviews
    using chosen
    where reviews.review_id = chosen.review_id
    returning reviews.*, chosen.turn_no
),

kept as (
    insert into haven_demo.deleted_reviews
    select * from deleted
    returning 1
)

insert into counts
select
    'deleted' as action,
    'reviews' as subject,
    count(*) as row_count
from kept;

with deleted as (
    delete from payments
    using order_plan
    where payments.order_id = order_plan.order_id and order_plan.action = 'delete'
    returning 1
)

insert into counts
select
    'deleted' as action,
    'payments' as subject,
    count(*) as row_count
from deleted;

with deleted as (
    delete from order_items
    using order_plan
    where order_items.order_id = order_plan.order_id and order_plan.action = 'delete'
    returning 1
)

insert into counts
select
    'deleted' as action,
    'order_items' as subject,
    count(*) as row_count
from deleted;

with deleted as (
    delete from orders
    using order_plan
    where orders.order_id = order_plan.order_id and order_plan.action = 'delete'
    returning 1
)

insert into counts
select
    'deleted' as action,
    'orders' as subject,
    count(*) as row_count
from deleted;

-- Drafts and dormant customers have nothing that refers to them, unless somebody else wrote it.
with deleted as (
    delete from products
    using product_plan
    where
        products.product_id = product_plan.product_id
        and product_plan.action = 'delete'
        and not exists (
            select 1 from bids
            where bids.product_id = products.product_id
        )
        and not exists (
            select 1 from order_items
            where order_items.product_id = products.product_id
        )
        and not exists (
            select 1 from reviews
            where reviews.product_id = products.product_id
        )
        and not exists (
            select 1 from listing_views
            where listing_views.product_id = products.product_id
        )
    returning 1
)

insert into counts
select
    'deleted' as action,
    'products' as subject,
    count(*) as row_count
from deleted;

with deleted as (
    delete from customers
    using customer_plan
    where
        customers.customer_id = customer_plan.customer_id
        and customer_plan.action = 'delete'
        and not exists (
            select 1 from orders
            where orders.customer_id = customers.customer_id
        )
        and not exists (
            select 1 from payments
            where payments.customer_id = customers.customer_id
        )
        and not exists (
            select 1 from bids
            where bids.customer_id = customers.customer_id
        )
        and not exists (
            select 1 from reviews
            where reviews.customer_id = customers.customer_id
        )
        and not exists (
            select 1 from listing_views
            where listing_views.customer_id = customers.customer_id
        )
    returning 1
)

insert into counts
select
    'deleted' as action,
    'customers' as subject,
    count(*) as row_count
from deleted;
