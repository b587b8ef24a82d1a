-- depends on: {{ ref('mixed') }} {{ ref('mixed_twin') }} {{ ref('ranges_gap') }}
{% if execute %}{{ dbt_utils.get_column_values('mixed', 'num') }}{% endif %}
