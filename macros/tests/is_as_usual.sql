{% test is_as_usual(model) %}
    {#- What of a watched model was not, in the last days, as on the days before: quality.metric_anomalies. -#}
    select
        metric_date,
        metric,
        round(metric_value::numeric, 4) as metric_value,
        round(expected_value::numeric, 4) as expected_value,
        round(score::numeric, 1) as score
    from {{ ref('metric_anomalies') }}
    where model_name = '{{ model.identifier }}' and is_anomalous
{% endtest %}
