{#- dbt's tests that give a bare value, with the key of a row that has it beside. dbt calls these macros instead of its
    own; they find the same, as often. -#}

{% macro key_of_tested_model() %}
    {#- The columns that name a row of the model that the present test is about: its unique_key, else its
        documented grain, else those that a test calls unique. None while dbt parses. -#}
    {% set node = graph.nodes.get(model.get('attached_node')) if execute else none %}
    {% if not node %}
        {{ return([]) }}
    {% endif %}
    {% set unique_key = node.config.get('unique_key') or [] %}
    {% set key = [unique_key] if unique_key is string else unique_key %}
    {% if not key %}
        {% set key = modules.re.split(', | and ', node.config.get('meta', {}).get('grain') or '') %}
    {% endif %}
    {% if key | reject('in', node.columns.keys()) | list %}
        {% set key = [] %}
        {% for test in graph.nodes.values()
            if test.get('attached_node') == node.unique_id and (test.get('test_metadata') or {}).get('name') == 'unique'
            and test.column_name and not key %}
            {% do key.append(test.column_name) %}
        {% endfor %}
    {% endif %}
    {{ return(key) }}
{% endmacro %}

{% macro _with_key_of_a_row(relation, column_name, found_sql, value_name) %}
    {% set key = key_of_tested_model() | reject('equalto', column_name) | list %}
    {% if not key or column_name in key_of_tested_model() %}
        {{ return(found_sql) }}
    {% endif %}
    {% set with_key %}
        select distinct on (found.{{ value_name }})
            found.*,
            tested.{{ key | join(', tested.') }}
        from (
            {{ found_sql }}
        ) as found
        inner join (select * from {{ relation }}) as tested
            on found.{{ value_name }} = tested.{{ column_name }}
        order by found.{{ value_name }}, tested.{{ key | join(', tested.') }}
    {% endset %}
    {{ return(with_key) }}
{% endmacro %}

{% macro postgres__test_unique(model, column_name) %}
    {{ _with_key_of_a_row(model, column_name, default__test_unique(model, column_name), 'unique_field') }}
{% endmacro %}

{% macro postgres__test_accepted_values(model, column_name, values, quote=True) %}
    {{ _with_key_of_a_row(
        model, column_name, default__test_accepted_values(model, column_name, values, quote), 'value_field') }}
{% endmacro %}

{% macro postgres__test_relationships(model, column_name, to, field) %}
    {% set key = key_of_tested_model() | reject('equalto', column_name) | list %}
    select
        {% for column in key %}
            child.{{ column }},
        {% endfor %}
        child.{{ column_name }} as from_field
    from (select * from {{ model }}) as child
    left join (select * from {{ to }}) as parent
        on child.{{ column_name }} = parent.{{ field }}
    where child.{{ column_name }} is not null and parent.{{ field }} is null
{% endmacro %}
