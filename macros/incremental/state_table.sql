{% macro state_table(model_name, content) %}
    {#- Where the strategy keeps something of a model: its `changes`, or the rows of an input. -#}
    {{ return(model_state_schema() ~ '.' ~ adapter.quote(
        short_name(model_name ~ '__' ~ content, '', model_name ~ '|' ~ content))) }}
{% endmacro %}

{% macro check_state_names(rules) %}
    {#- a__b with the input c, and a with the input b__c, would keep their rows in one table. -#}
    {% for rule in rules if rule.kind in ['loaded', 'snapshot'] %}
        {% set name = _input_name(model) ~ '__' ~ rule.input_name %}
        {% for node in graph.nodes.values() if is_of_strategy(node) and node.unique_id != model.unique_id
            and name.startswith(_input_name(node) ~ '__') %}
            {% set rest = name[_input_name(node) | length + 2:] %}
            {% if rest == 'changes' or rest in read_inputs(node) | map(attribute='name') %}
                {% do _touched_by_error(
                    'its table ' ~ name ~ ' in ' ~ model_state_schema() ~ ' would be that of ' ~ _input_name(node)
                    ~ ', too; rename one of the two models') %}
            {% endif %}
        {% endfor %}
    {% endfor %}
{% endmacro %}
