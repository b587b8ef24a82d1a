-- six rows with nulls, blanks, upper and lower case, and a repeated number
select *
from (
    values
    (1, 10, 1.25, 'abc', 'a', date '2024-01-01'),
    (2, 20, 2.00, 'ABC', 'a', date '2024-01-02'),
    (3, null, null, '', 'b', date '2024-01-04'),
    (4, 0, 0.00, '  ', 'b', null),
    (5, -5, -0.50, null, 'b', date '2024-01-05'),
    (6, 20, 2.00, 'abcd', null, date '2024-01-05')
) as rows (id, num, amount, txt, grp, day)
