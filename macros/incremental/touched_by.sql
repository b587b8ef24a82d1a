{% macro touched_by() %}
    {#- Reads and checks `meta.touched_by` once, so that the other macros need not. -#}
    {% set touch_rules = [] %}
    {% set declared = config.meta_get('touched_by', {}) %}
    {% if not declared %}
        {% do exceptions.raise_compiler_error(
            model.name ~ ": incremental_strategy 'touched_keys' needs config.meta.touched_by") %}
    {% endif %}
    {% if config.get('unique_key') is string or not config.get('unique_key') %}
        {% do exceptions.raise_compiler_error(
            model.name ~ ": 'touched_keys' needs unique_key as a list, the touched key first") %}
    {% endif %}
    {% set key_columns = touched_key_columns() %}
    {% for input_name, rule in declared.items() %}
        {% set rule = rule if rule is mapping else {'column': rule} %}
        {% set columns = [rule['column']] if rule.get('column') is string else rule.get('column', []) %}
        {% set uses = rule.get('uses', []) %}
        {% set kind = _input_kind(input_name) %}
        {% set unknown = rule.keys()
            | reject('in', ['column', 'through', 'row_id', 'as_of', 'uses']) | list %}
        {% set problem = namespace(text=none) %}
        {% if unknown or not columns or ('through' in rule and 'row_id' in rule) %}
            {% set problem.text = 'takes one or more columns, or a mapping of column with through '
                ~ '(and as_of) or row_id, and uses' %}
        {% elif 'through' not in rule and columns | length != key_columns | length %}
            {% set problem.text = 'names ' ~ columns | length ~ ' columns for the touched key '
                ~ key_columns | join(', ') %}
        {% elif 'through' in rule and columns | length != 1 %}
            {% set problem.text = 'has to name one column that is looked up through another table' %}
        {% elif 'as_of' in rule and rule.get('through') != 'this' %}
            {% set problem.text = "takes as_of only with through: this" %}
        {% elif execute and kind != 'built' and ('as_of' in rule or 'uses' in rule) %}
            {% set problem.text = 'takes as_of and uses only for an input of the touched_keys strategy' %}
        {% elif execute and kind == 'built' and 'row_id' in rule %}
            {% set problem.text = 'needs no row_id: its changes hold the rows as they were' %}
        {% endif %}
        {% if problem.text %}
            {% do exceptions.raise_compiler_error(
                model.name ~ ': touched_by.' ~ input_name ~ ' ' ~ problem.text ~ '; got ' ~ rule) %}
        {% endif %}
        {% do touch_rules.append({
            'input_name': input_name,
            'kind': kind,
            'columns': columns,
            'through': rule.get('through'),
            'as_of': rule.get('as_of'),
            'uses': [uses] if uses is string else uses,
            'row_id': rule.get('row_id'),
            'row_keys': model_state_schema() ~ '.' ~ model.name ~ '__' ~ input_name,
            'changes': _changes_table(input_name),
        }) %}
    {% endfor %}
    {{ return(touch_rules) }}
{% endmacro %}

{% macro touched_key_columns() %}
    {#- The columns of the model that together are the key by which it is computed anew. -#}
    {% set declared = config.meta_get('touched_key', config.get('unique_key')[:1]) %}
    {{ return([declared] if declared is string else declared) }}
{% endmacro %}

{% macro _touched_key_names(columns=none) %}
    {#- What the columns of the touched keys are called: touched_key, touched_key_2, … -#}
    {% set names = [] %}
    {% for column in columns or touched_key_columns() %}
        {% do names.append('touched_key' if loop.first else 'touched_key_' ~ loop.index) %}
    {% endfor %}
    {{ return(names) }}
{% endmacro %}

{% macro _changes_table(model_name) %}
    {{ return(model_state_schema() ~ '.' ~ model_name ~ '__changes') }}
{% endmacro %}

{% macro _input_kind(input_name) %}
    {#- loaded: rows carry the load that changed them. snapshot: so do they, but how far it has read
        the loads only it knows. built: a model of this strategy, which notes its changed rows. -#}
    {% if execute %}
        {% for node in graph.nodes.values() if node.name == input_name %}
            {% if node.resource_type == 'snapshot' %}
                {{ return('snapshot') }}
            {% elif node.resource_type == 'model' and node.config.incremental_strategy == 'touched_keys' %}
                {{ return('built') }}
            {% endif %}
        {% endfor %}
    {% endif %}
    {{ return('loaded') }}
{% endmacro %}
