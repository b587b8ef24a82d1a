select 1 as pause_id from pg_sleep((select seconds from public.pause))
