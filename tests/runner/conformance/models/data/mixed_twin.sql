-- the same rows as `mixed`
select * from {{ ref('mixed') }}
