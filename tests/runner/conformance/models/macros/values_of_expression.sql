-- depends on: {{ ref('mixed') }} {{ ref('no_rows') }}
select $${{ dbt_utils.get_column_values(ref('mixed'), 'upper(txt)', order_by='1') }}$$ as found
