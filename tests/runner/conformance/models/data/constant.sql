-- one value in all rows of group a, two in group b, none in group c
select *
from (
    values ('a', 1, 5), ('a', 1, 5), ('a', null, 5), ('b', 1, 5), ('b', 2, 5), ('c', null, 5)
) as rows (grp, num, same)
