-- `mixed` with one changed number, one missing and one added row, and a rounding difference
select
    id,
    case when id = 2 then 21 else num end as num,
    case when id = 1 then 1.2504 else amount end as amount,
    txt,
    grp,
    day
from {{ ref('mixed') }}
where id <> 6
union all
select 7, 70, 7.00, 'new', 'c', date '2024-02-01'
