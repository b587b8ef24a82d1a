-- depends on: {{ ref('in_passing') }}
{% if execute %}{{ dbt_utils.star(ref('in_passing')) }}{% endif %}
