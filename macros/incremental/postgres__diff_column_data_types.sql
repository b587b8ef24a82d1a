{% macro postgres__diff_column_data_types(source_columns, target_columns) %}
    {#- on_schema_change sees a difference between numeric and numeric(18, 2). For this strategy that is none: the strategy
        looks at the values, and refuses those that the column would round. -#}
    {% set changes = default__diff_column_data_types(source_columns, target_columns) %}
    {% if not is_of_strategy(model) %}
        {{ return(changes) }}
    {% endif %}
    {% set old_types = {} %}
    {% for column in target_columns %}
        {% do old_types.update({column.name: _without_size(column.data_type)}) %}
    {% endfor %}
    {% set others = [] %}
    {% for change in changes if _without_size(change.new_type) != old_types[change.column_name] %}
        {% do others.append(change) %}
    {% endfor %}
    {{ return(others) }}
{% endmacro %}
