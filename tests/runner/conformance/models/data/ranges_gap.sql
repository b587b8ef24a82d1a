-- one range touches its neighbour, one leaves a gap
select * from (values (1, 0, 1), (1, 2, 3), (1, 3, 4)) as rows (owner, low, high)
