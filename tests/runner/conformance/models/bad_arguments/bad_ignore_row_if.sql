-- depends on: {{ ref('mixed') }} {{ ref('mixed_twin') }} {{ ref('ranges_gap') }}
{% if execute %}{{ dbt_expectations.test_expect_compound_columns_to_be_unique(ref('mixed'), ['id'], ignore_row_if='never') }}{% endif %}
