select
    id,
    {{ dbt_utils.safe_divide('id', 'num') }} as whole_numbers,
    {{ dbt_utils.safe_divide('amount + 1', 'num - 20') }} as expressions
from {{ ref('mixed') }}
