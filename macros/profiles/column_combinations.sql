{% macro column_combinations(columns) %}
    {#- At most 20: the fewer values a combination needs to be unique, the likelier a key it is. -#}
    {% set usable, found = [], [] %}
    {% for column in columns if column.can_refer or column.kind == 'time' %}
        {% do usable.append(column) %}
    {% endfor %}
    {% for size in [2, 3] %}
        {% for names in modules.itertools.combinations(usable, size) %}
            {% set product = namespace(value=1) %}
            {% for column in names %}
                {% set product.value = product.value * column.distinct_count %}
            {% endfor %}
            {% if product.value >= names[0].row_count %}
                {% do found.append({'size': size, 'product': product.value, 'names': names}) %}
            {% endif %}
        {% endfor %}
    {% endfor %}
    {{ return((found | sort(attribute='size,product') | map(attribute='names') | list)[:20]) }}
{% endmacro %}
