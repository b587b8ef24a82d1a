{{ config(store_failures=true) }}
-- What analysts and models of machine learning can read holds no personal data that is not masked.
-- A row is a column that does, or looks as if it did: mask it, take it out, or revoke it. It walks
-- the catalog as it is now, so tables dbt does not know count too. What a run itself builds is
-- looked at when all of it is there: look_for_personal_data, on-run-end.
{% set kinds = personal_data() %}
{% if execute %}
    {{ personal_findings_sql(personal_data_readers(), kinds) }}
{% else %}
    select 1 where false
{% endif %}
