select fct_orders.customer, count(*) as order_count, sum(fct_orders.order_amount) as total_amount
from {{ ref('fct_orders') }} as fct_orders
group by fct_orders.customer
