{{ dbt_utils.deduplicate(relation=ref('mixed'), partition_by='grp', order_by='num desc nulls last, id desc') }}
