-- depends on: {{ ref('mixed') }} {{ ref('mixed_twin') }} {{ ref('ranges_gap') }} {{ ref('no_rows') }}
{% if execute %}{{ dbt_expectations.test_expect_column_to_exist(ref('mixed'), 'num', transform='sideways') }}{% endif %}
