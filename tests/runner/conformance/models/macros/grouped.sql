select grp, num, count(*) as row_count from {{ ref('mixed') }} {{ dbt_utils.group_by(n=2) }}
