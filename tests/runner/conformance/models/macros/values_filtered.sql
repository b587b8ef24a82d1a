-- depends on: {{ ref('mixed') }} {{ ref('no_rows') }}
select $${{ dbt_utils.get_column_values(ref('mixed'), 'num', where='num > 0', order_by='num desc', max_records=1) }}$$ as found
