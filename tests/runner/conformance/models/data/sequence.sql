-- whole numbers by group: complete, with a hole, with a repeat and with a null
select *
from (
    values ('a', 1), ('a', 2), ('a', 3), ('b', 1), ('b', 3), ('c', 5), ('c', 5), ('d', 1), ('d', null)
) as rows (grp, num)
