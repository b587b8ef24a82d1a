select
    json_build_object(
        'seed', state.seed,
        'scale', state.scale,
        'day', state.today,
        'tick', state.tick_number,
        'rows', json_build_object(
            'customers', (select count(*) from customers),
            'vendors', (select count(*) from vendors),
            'categories', (select count(*) from categories),
            'products', (select count(*) from products),
            'bids', (select count(*) from bids),
            'orders', (select count(*) from orders),
            'order_items', (select count(*) from order_items),
            'payments', (select count(*) from payments),
            'reviews', (select count(*) from reviews),
            'listing_views', (select count(*) from listing_views)
        ),
        'planted', state.planted
    )
from haven_demo.state;
