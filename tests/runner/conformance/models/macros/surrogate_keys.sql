select
    id,
    {{ dbt_utils.generate_surrogate_key(['id']) }} as one_field,
    {{ dbt_utils.generate_surrogate_key(['num', 'txt', 'day', 'amount']) }} as four_fields,
    {{ dbt_utils.generate_surrogate_key(["coalesce(txt, '')"]) }} as expression
from {{ ref('mixed') }}
