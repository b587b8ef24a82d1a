{% macro look_for_personal_data(results) %}
    {#- The end of a run is the one moment at which every model that it built is there, whatever was
        selected: a test would have to name them all to be sure to come after them. -#}
    {% set built = [] %}
    {% for result in (results if execute else [])
        if result.status == 'success' and result.node.resource_type in ['model', 'seed', 'snapshot'] %}
        {% do built.append(result.node.schema ~ '.' ~ result.node.alias) %}
    {% endfor %}
    {% set kinds = personal_data(required=false) %}
    {% if built and not kinds %}
        {% do exceptions.warn(
            'Nobody looked whether models of this run show personal data: dbt seed --select personal_data') %}
    {% elif built and not flags.EMPTY %}
        {% set found = run_query(personal_findings_sql(personal_data_readers(), kinds, built)) %}
        {% if found | length %}
            {% set lines = [] %}
            {% for row in found %}
                {% do lines.append('  ' ~ row[0] ~ ': ' ~ row[1]) %}
            {% endfor %}
            {% do exceptions.raise_compiler_error(
                'no_personal_data_is_readable: models of this run show readers personal data (docs/privacy.md):\n'
                ~ lines | join('\n')) %}
        {% endif %}
    {% endif %}
{% endmacro %}
