-- depends on: {{ ref('mixed') }} {{ ref('no_rows') }}
select $${{ dbt_utils.get_column_values(api.Relation.create(schema=target.schema, identifier='nowhere'), 'x', default=['none']) }}$$ as found
