-- one child each with a live parent, a null, an inactive parent and no parent
select * from (values (1, 1), (2, null), (3, 3), (4, 9), (5, 1)) as rows (id, parent_id)
