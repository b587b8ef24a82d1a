{% test is_as_usual(model) %}
    {#- What of a watched model was not, in the last days, as on the days before: quality.metric_anomalies. -#}
    {% set tested, watched = [], [] %}
    {% for node in (graph.nodes.values() if execute else []) if node.resource_type == 'model' %}
        {% if node.relation_name == model | string %}
            {% do tested.append(node) %}
        {% elif node.name == 'daily_metrics' %}
            {% do watched.extend(node.depends_on.nodes) %}
        {% endif %}
    {% endfor %}
    {% if execute and not tested | selectattr('unique_id', 'in', watched) | list %}
        {% do exceptions.raise_compiler_error(model ~ ' is not watched: add a line for it to daily_metrics.sql') %}
    {% endif %}
    select
        metric_date,
        metric,
        round(metric_value::numeric, 4) as metric_value,
        round(expected_value::numeric, 4) as expected_value,
        round(score::numeric, 1) as score
    from {{ ref('metric_anomalies') }}
    where is_anomalous and model_name = '{{ tested | map(attribute='name') | first }}'
{% endtest %}
