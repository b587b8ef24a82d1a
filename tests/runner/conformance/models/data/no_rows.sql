-- the columns of `mixed` and no row
select * from {{ ref('mixed') }} where false
