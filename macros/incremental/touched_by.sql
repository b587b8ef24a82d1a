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
    {% for input_name, rule in declared.items() %}
        {% set rule = {'column': rule} if rule is string else rule %}
        {% set unknown = rule.keys() | reject('in', ['column', 'through', 'row_id']) | list %}
        {% if unknown or 'column' not in rule or ('through' in rule and 'row_id' in rule) %}
            {% do exceptions.raise_compiler_error(
                model.name ~ ': touched_by.' ~ input_name ~ ' takes a column name, or column with '
                ~ 'either through or row_id; got ' ~ rule) %}
        {% endif %}
        {% do touch_rules.append({
            'input_name': input_name,
            'column': rule['column'],
            'through': rule.get('through'),
            'row_id': rule.get('row_id'),
            'row_keys': model_state_schema() ~ '.' ~ model.name ~ '__' ~ input_name,
        }) %}
    {% endfor %}
    {{ return(touch_rules) }}
{% endmacro %}
