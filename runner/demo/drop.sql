-- Only what the demo made (also an older version of it), and no cascade: an object of somebody else
-- that hangs on it stops this.

drop function if exists
haven_demo.new_customers,
haven_demo.new_products,
haven_demo.new_sessions,
haven_demo.shipping_address,
haven_demo.arrived_at,
haven_demo.time_of_day,
haven_demo.popularity,
haven_demo.is_dormant,
haven_demo.currency_of,
haven_demo.pick_currency,
haven_demo.pick,
haven_demo.uniform;

drop table if exists
customers,
vendors,
categories,
products,
bids,
orders,
order_items,
payments,
reviews,
listing_views,
haven_demo.state,
haven_demo.marks,
haven_demo.price_changes,
haven_demo.deleted_reviews,
haven_demo.places,
haven_demo.words;

drop type if exists
order_status,
payment_status,
payment_method,
bid_status,
product_condition,
listing_status;

drop schema haven_demo;
