-- depends on: {{ ref('mixed') }} {{ ref('mixed_twin') }} {{ ref('ranges_gap') }}
{% if execute %}{{ dbt_utils.date_spine('day', "cast('2024-02-01' as date)", "cast('2024-01-01' as date)") }}{% endif %}
