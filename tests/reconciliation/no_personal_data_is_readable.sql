-- What analysts and models of machine learning can read holds no personal data that is not masked.
-- A row is a column that does, or looks as if it did: mask it, take it out, or revoke it. It walks
-- the catalog, so tables dbt does not know count too. Runs after the marts with masked columns.
-- depends_on: {{ ref('customer_contacts') }}
-- depends_on: {{ ref('dim_customers') }}
-- depends_on: {{ ref('dim_vendors') }}
-- depends_on: {{ ref('fct_orders') }}
-- depends_on: {{ ref('stg_clutter_haven__customers') }}
{% if execute %}
    {{ personal_findings_sql(['haven_analyst', 'haven_ml', 'haven_vendor']) }}
{% else %}
    select 1 where false
{% endif %}
