-- depends on: {{ ref('mixed') }} {{ ref('mixed_twin') }} {{ ref('ranges_gap') }} {{ ref('no_rows') }}
{% if execute %}{{ dbt_utils.group_by('two') }}{% endif %}
