{% macro scd1_columns() %}
    {{ return(_scd_columns(1)) }}
{% endmacro %}

{% macro scd2_columns() %}
    {{ return(_scd_columns(2)) }}
{% endmacro %}

{% macro _scd_columns(type) %}
    {#- While dbt only parses, the YAML is not joined to the model yet. -#}
    {% set names = [] %}
    {% if execute %}
        {% for column in model.columns.values() %}
            {% set declared = column.get('config', {}).get('meta', {}).get('scd', column.get('meta', {}).get('scd')) %}
            {% if declared not in [none, 1, 2] %}
                {% do exceptions.raise_compiler_error(
                    model.name ~ '.' ~ column.name ~ ': meta.scd is 1 or 2; got ' ~ declared) %}
            {% endif %}
            {% if declared == type %}
                {% do names.append(column.name) %}
            {% endif %}
        {% endfor %}
        {% if type == 2 and not names %}
            {% do exceptions.raise_compiler_error(
                model.name ~ ': scd2_versions needs config.meta.scd on the columns in its YAML, 2 on at least one') %}
        {% endif %}
    {% endif %}
    {{ return(names) }}
{% endmacro %}
