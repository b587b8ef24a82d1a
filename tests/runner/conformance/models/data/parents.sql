-- parent keys, one of them inactive
select * from (values (1, true), (2, true), (3, false)) as rows (id, is_active)
