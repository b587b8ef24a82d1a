{#- One row per group in which the column has one single distinct value. -#}
{% test not_constant(model, column_name, group_by_columns=[]) %}

select
    {{ dbt_utils._group_select(group_by_columns) }}
    count(distinct {{ column_name }}) as filler_column
from {{ model }}
{{ dbt_utils._group_clause(group_by_columns) }}
having count(distinct {{ column_name }}) = 1

{% endtest %}
