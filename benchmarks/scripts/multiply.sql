-- Returns the statements that make raw :copies times as large: every row again with all its ids shifted, so that each
-- copy is a world of its own, with as many orders a day as the first. Categories stay, they are shared; listing views
-- too, as nothing asks them.
select
    format(
        'insert into raw.%I (%s) select %s from generate_series(1, %s) as copies (number) cross join raw.%I as one',
        pg_class.relname,
        string_agg(quote_ident(attname), ', ' order by attnum),
        string_agg(
            case
                when attname like '%\_id' and attname not in ('category_id', '_load_id')
                    then format('one.%I + copies.number * 1000000000::bigint', attname)
                else format('one.%I', attname)
            end,
            ', ' order by attnum
        ),
        :copies - 1,
        pg_class.relname
    )
from pg_class
inner join pg_attribute on pg_class.oid = pg_attribute.attrelid
where
    relnamespace = 'raw'::regnamespace and relkind = 'r' and attnum > 0 and not attisdropped
    and relname not in ('categories', 'listing_views')
group by relname
