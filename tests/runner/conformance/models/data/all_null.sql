-- nothing but nulls, in two groups
select * from (values ('a', cast(null as integer)), ('a', null), ('b', null)) as rows (grp, num)
