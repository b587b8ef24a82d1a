-- depends on: {{ ref('mixed') }} {{ ref('no_rows') }}
select $${{ dbt_utils.get_column_values(ref('mixed'), 'amount', order_by='amount') }}$$ as found
