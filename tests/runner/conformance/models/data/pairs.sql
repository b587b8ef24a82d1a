-- a below, equal to and above b, and nulls on either side
select * from (values (1, 2), (2, 2), (3, 2), (null, 2), (3, null), (null, null)) as rows (a, b)
