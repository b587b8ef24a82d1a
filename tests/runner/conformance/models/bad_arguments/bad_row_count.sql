-- depends on: {{ ref('mixed') }} {{ ref('mixed_twin') }} {{ ref('ranges_gap') }}
{% if execute %}{{ dbt_expectations.test_expect_table_row_count_to_be_between(ref('mixed')) }}{% endif %}
