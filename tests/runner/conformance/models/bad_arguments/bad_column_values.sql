-- depends on: {{ ref('mixed') }} {{ ref('mixed_twin') }} {{ ref('ranges_gap') }}
{% if execute %}{{ dbt_utils.get_column_values(api.Relation.create(schema=target.schema, identifier='nowhere'), 'x') }}{% endif %}
