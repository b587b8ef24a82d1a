-- depends on: {{ ref('mixed') }} {{ ref('mixed_twin') }} {{ ref('ranges_gap') }} {{ ref('no_rows') }}
{% if execute %}{{ dbt_expectations.test_expect_column_values_to_be_in_set(ref('mixed'), 'txt', ["it's"]) }}{% endif %}
