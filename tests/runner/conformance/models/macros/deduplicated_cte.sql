with some_rows as (select * from {{ ref('mixed') }} where grp is not null),

one_each as (

    {{ dbt_utils.deduplicate(relation='some_rows', partition_by='grp, num', order_by='id') }}

)

select * from one_each
