{#- One row per partition: the first in order_by. `relation` may be a relation or a CTE's name. -#}
{% macro deduplicate(relation, partition_by, order_by) %}
    select distinct on ({{ partition_by }}) *
    from {{ relation }}
    order by {{ partition_by }}, {{ order_by }}
{% endmacro %}
