-- depends on: {{ ref('in_passing') }}
{% if execute %}{{ dbt_utils.get_column_values(ref('in_passing'), 'id') }}{% endif %}
