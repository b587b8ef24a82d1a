-- depends on: {{ ref('mixed') }} {{ ref('mixed_twin') }} {{ ref('ranges_gap') }} {{ ref('no_rows') }}
{% if execute %}{{ dbt_expectations.test_expect_table_row_count_to_equal_other_table(ref('mixed'), ref('ranges_gap'), row_condition='id < 3') }}{% endif %}
