-- depends on: {{ ref('mixed') }} {{ ref('mixed_twin') }} {{ ref('ranges_gap') }} {{ ref('no_rows') }}
{% if execute %}{{ dbt_utils.test_not_empty_string(ref('mixed'), 'num') }}{% endif %}
