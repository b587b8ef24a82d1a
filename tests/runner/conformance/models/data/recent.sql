-- group a was seen now, group b two days ago, group c never; a row lies in the future
select 'a' as grp, localtimestamp as seen_at, localtimestamp as past_at
union all
select 'b', localtimestamp - interval '2 days', localtimestamp - interval '2 days'
union all
select 'c', null, null
union all
select 'd', localtimestamp + interval '2 days', localtimestamp - interval '5 days'
