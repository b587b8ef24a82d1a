-- depends on: {{ ref('mixed') }} {{ ref('no_rows') }}
select $${{ dbt_utils.get_column_values(ref('mixed'), 'txt', order_by='txt') }}$$ as found
