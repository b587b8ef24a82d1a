-- addresses: two good, some broken, an empty one and a null
select *
from (
    values
    ('ann@example.com'), ('BOB@EXAMPLE.COM'), ('no-at.example.com'), ('two@@example.com'), (''), (null)
) as rows (email)
