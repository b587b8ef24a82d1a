-- depends on: {{ ref('mixed') }} {{ ref('no_rows') }}
select $${{ dbt_utils.get_column_values(table=ref('mixed'), column='num', order_by='count(*) desc, num') }}$$ as found
