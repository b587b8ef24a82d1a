-- depends on: {{ ref('mixed') }} {{ ref('no_rows') }}
select $${{ dbt_utils.get_column_values(ref('mixed'), 'day', order_by='min(id)') }}$$ as found
