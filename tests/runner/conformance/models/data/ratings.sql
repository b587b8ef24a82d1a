-- ten values, four distinct, and a null
select * from (values (1), (2), (2), (3), (3), (3), (4), (4), (4), (4), (null)) as rows (stars)
