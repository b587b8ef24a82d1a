-- depends on: {{ ref('mixed') }} {{ ref('mixed_twin') }} {{ ref('ranges_gap') }} {{ ref('no_rows') }}
{% if execute %}{{ dbt_expectations.test_expect_compound_columns_to_be_unique(ref('mixed'), 'id') }}{% endif %}
