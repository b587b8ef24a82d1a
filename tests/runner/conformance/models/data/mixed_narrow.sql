-- `mixed` without a column
select id, num, txt from {{ ref('mixed') }}
