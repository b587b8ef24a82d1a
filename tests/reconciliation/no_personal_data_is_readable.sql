{{ config(store_failures=true) }}
-- What analysts and models of machine learning can read holds no personal data that is not masked.
-- A row is a column that does, or looks as if it did: mask it, take it out, or revoke it. It walks
-- the catalog, so tables dbt does not know count too. Runs after all models that readers see.
-- depends_on: {{ ref('bid_price_bands') }}
-- depends_on: {{ ref('bid_win_rate') }}
-- depends_on: {{ ref('category_performance') }}
-- depends_on: {{ ref('churn_training_set') }}
-- depends_on: {{ ref('customer_contacts') }}
-- depends_on: {{ ref('customer_features') }}
-- depends_on: {{ ref('customer_lifetime_value') }}
-- depends_on: {{ ref('daily_revenue') }}
-- depends_on: {{ ref('dim_customers') }}
-- depends_on: {{ ref('dim_dates') }}
-- depends_on: {{ ref('dim_products') }}
-- depends_on: {{ ref('dim_vendors') }}
-- depends_on: {{ ref('fct_bids') }}
-- depends_on: {{ ref('fct_listing_views') }}
-- depends_on: {{ ref('fct_order_items') }}
-- depends_on: {{ ref('fct_orders') }}
-- depends_on: {{ ref('fct_payments') }}
-- depends_on: {{ ref('fct_reviews') }}
-- depends_on: {{ ref('feature_catalogue') }}
-- depends_on: {{ ref('inventory_ageing') }}
-- depends_on: {{ ref('listing_funnel') }}
-- depends_on: {{ ref('payment_delays_by_hour') }}
-- depends_on: {{ ref('payment_open_items') }}
-- depends_on: {{ ref('payment_reconciliation') }}
-- depends_on: {{ ref('predicted_customer_value') }}
-- depends_on: {{ ref('product_features') }}
-- depends_on: {{ ref('regional_revenue') }}
-- depends_on: {{ ref('vendor_order_items') }}
-- depends_on: {{ ref('vendor_performance') }}
-- depends_on: {{ ref('stg_clutter_haven__customers') }}
{% if execute %}
    {{ personal_findings_sql(['haven_analyst', 'haven_ml', 'haven_vendor']) }}
{% else %}
    select 1 where false
{% endif %}
