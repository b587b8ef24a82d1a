select count(*) as numbers, min(generated_number) as lowest, max(generated_number) as highest,
    count(distinct generated_number) as distinct_numbers, max(pg_typeof(generated_number)::text) as type
from ({{ dbt_utils.generate_series(upper_bound=1000) }}) as series
