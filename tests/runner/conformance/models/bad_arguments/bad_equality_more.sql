-- depends on: {{ ref('mixed') }} {{ ref('mixed_twin') }} {{ ref('mixed_narrow') }}
-- depends on: {{ ref('ranges_gap') }} {{ ref('no_rows') }}
{% if execute %}{{ dbt_utils.test_equality(ref('mixed'), ref('mixed_narrow')) }}{% endif %}
