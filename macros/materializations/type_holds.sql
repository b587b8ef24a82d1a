{% macro type_holds(wide, narrow) %}
    {#- Whether every value of one type is a value of another, both as format_type() writes them. -#}
    {% set wider = {
        'smallint': ['integer', 'bigint', 'numeric', 'real', 'double precision'],
        'integer': ['bigint', 'numeric', 'double precision'],
        'bigint': ['numeric'],
        'real': ['double precision'],
        'character': ['character varying'],
        'bit': ['bit varying'],
        'date': ['timestamp without time zone'],
    } %}
    {% set digits = {'smallint': 5, 'integer': 10, 'bigint': 19} %}
    {% set form = '(.+?)(?:[(](\\d+)(?:,(-?\\d+))?[)])?( with(?:out)? time zone)?(\\[\\])?' %}
    {% set new = modules.re.fullmatch(form, wide).groups() %}
    {% set old = modules.re.fullmatch(form, narrow).groups() %}
    {% set new_name = new[0] ~ (new[3] or '') %}
    {% set old_name = old[0] ~ (old[3] or '') %}
    {% if wide == narrow or (new_name == 'text' and not new[4] and not old[4]) %}
        {{ return(true) }}
    {% elif new[4] != old[4] or (new_name != old_name and new_name not in wider.get(old_name, [])) %}
        {{ return(false) }}
    {% elif new[1] is none %}
        {{ return(true) }}
    {% elif new_name == 'numeric' %}
        {% set whole = digits.get(old_name, (old[1] | int - (old[2] or 0) | int) if old[1] else none) %}
        {{ return(whole is not none and (new[2] or 0) | int >= (old[2] or 0) | int
            and new[1] | int - (new[2] or 0) | int >= whole) }}
    {% elif old_name == 'date' %}
        {{ return(true) }}
    {% endif %}
    {{ return(old[1] is not none and new[1] | int >= old[1] | int) }}
{% endmacro %}

{% macro widen_columns(new_columns, relation) %}
    {#- Gives each column the type of the new one of its name if that holds more; views on it are put back. -#}
    {% set new_types = {} %}
    {% for column in new_columns %}
        {% do new_types.update({column.name: column.type}) %}
    {% endfor %}
    {% set names = [] %}
    {% set actions = [] %}
    {% for column in partition_columns(relation) if new_types.get(column.name, column.type) != column.type %}
        {% set new_type = new_types[column.name] %}
        {% if type_holds(new_type, column.type) %}
            {% do names.append(column.name) %}
            {% do actions.append('alter column ' ~ column.quoted ~ ' type ' ~ new_type) %}
        {% elif not type_holds(column.type, new_type) %}
            {% do exceptions.raise_compiler_error(
                model.name ~ ': ' ~ column.name ~ ' is ' ~ new_type ~ ' now and was ' ~ column.type ~ '; neither holds all '
                ~ 'values of the other. Cast it to a type that holds both, or change the column of ' ~ relation
                ~ ' by hand') %}
        {% endif %}
    {% endfor %}
    {% if actions %}
        {% do find_dependent_views(relation, names) %}
        {% do take_down_dependent_views() %}
        {% do run_query('alter table ' ~ relation ~ ' ' ~ actions | join(', ')) %}
        {% do put_back_dependent_views(relation) %}
        {{ log(model.name ~ ': follows what it reads: ' ~ actions | join(', '), info=true) }}
    {% endif %}
{% endmacro %}
