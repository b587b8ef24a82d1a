-- depends on: {{ ref('mixed') }} {{ ref('mixed_twin') }} {{ ref('ranges_gap') }} {{ ref('no_rows') }}
{% if execute %}{{ dbt_utils.test_equality(ref('mixed'), ref('mixed_twin'), compare_columns=['nowhere']) }}{% endif %}
