-- each range ends where the next begins
select * from (values (1, 0, 1), (1, 1, 2), (1, 2, 3), (2, 0, 5)) as rows (owner, low, high)
