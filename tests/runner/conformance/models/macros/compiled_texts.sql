-- depends on: {{ ref('mixed_narrow') }} {{ ref('no_rows') }}
{%- set from = ref('mixed_narrow') %}
select
    $${{ dbt_utils.star(from) }}$$ as star_all,
    $${{ dbt_utils.star(from=from, relation_alias='m', except=['id']) }}$$ as star_alias,
    $${{ dbt_utils.star(from, prefix='pre_', suffix='_post') }}$$ as star_affixes,
    $${{ dbt_utils.star(from, quote_identifiers=false, prefix='max_') }}$$ as star_unquoted,
    $${{ dbt_utils.star(from, except=['id', 'num', 'txt']) }}$$ as star_nothing,
    $${{ dbt_utils.group_by(3) }}$$ as group_by_three,
    $${{ dbt_utils.safe_divide('a', 'b') | trim }}$$ as quotient
