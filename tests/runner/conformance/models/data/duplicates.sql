-- whole and partial duplicates, with nulls in either column
select *
from (
    values (1, 'x'), (1, 'x'), (1, 'y'), (2, null), (2, null), (null, null), (null, null), (null, 'z')
) as rows (a, b)
