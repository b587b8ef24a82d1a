{#- One row per group without a single non-null value. -#}
{% test at_least_one(model, column_name, group_by_columns=[]) %}

select
    {{ dbt_utils._group_select(group_by_columns) }}
    count({{ column_name }}) as filler_column
from {{ model }}
{{ dbt_utils._group_clause(group_by_columns) }}
having count({{ column_name }}) = 0

{% endtest %}
