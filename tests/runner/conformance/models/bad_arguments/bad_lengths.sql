-- depends on: {{ ref('mixed') }} {{ ref('mixed_twin') }} {{ ref('ranges_gap') }}
{% if execute %}{{ dbt_expectations.test_expect_column_value_lengths_to_be_between(ref('mixed'), 'txt') }}{% endif %}
