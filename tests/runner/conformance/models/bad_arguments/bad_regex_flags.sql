-- depends on: {{ ref('mixed') }} {{ ref('mixed_twin') }} {{ ref('ranges_gap') }}
{% if execute %}{{ dbt_expectations.test_expect_column_values_to_match_regex(ref('mixed'), 'txt', 'a', flags='yz') }}{% endif %}
