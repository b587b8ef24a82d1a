select {{ dbt_utils.star(ref('mixed'), except=['TXT', 'day']) }} from {{ ref('mixed') }}
