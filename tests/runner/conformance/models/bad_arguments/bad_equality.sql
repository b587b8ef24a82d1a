-- depends on: {{ ref('mixed') }} {{ ref('mixed_twin') }} {{ ref('ranges_gap') }}
{% if execute %}{{ dbt_utils.test_equality(ref('mixed'), ref('mixed_twin'), compare_columns=['id'], exclude_columns=['num']) }}{% endif %}
