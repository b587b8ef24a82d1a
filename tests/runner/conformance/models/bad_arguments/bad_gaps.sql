-- depends on: {{ ref('mixed') }} {{ ref('mixed_twin') }} {{ ref('ranges_gap') }}
{% if execute %}{{ dbt_utils.test_mutually_exclusive_ranges(ref('ranges_gap'), 'low', 'high', gaps='sometimes') }}{% endif %}
