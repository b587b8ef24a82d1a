-- hours with one missing
select *
from (
    values
    (timestamp '2024-01-01 00:00'), (timestamp '2024-01-01 01:00'), (timestamp '2024-01-01 03:00')
) as rows (hour)
