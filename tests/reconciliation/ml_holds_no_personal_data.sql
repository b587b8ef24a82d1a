-- Each row is a column of the schema ml that is personal: leave it out, or give only what may be
-- learned from, such as a domain or a year.
{% set found = personal_columns('ml') %}

select personal.column_name
from unnest('{{ "{" ~ found | join(",") ~ "}" }}'::text[]) as personal (column_name)
