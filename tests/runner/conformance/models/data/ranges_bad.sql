-- an overlap, an empty range, a reversed one and open bounds
select *
from (
    values (1, 0, 5), (1, 3, 6), (2, 4, 4), (3, 9, 8), (4, 1, null), (4, 2, 3), (5, null, 3), (6, 1, 2)
) as rows (owner, low, high)
