{#- Stand-in for Elementary's test: disabled, so it shows as not run. -#}
{% test all_columns_anomalies(
    model,
    column_anomalies,
    exclude_prefix,
    exclude_regexp,
    timestamp_column,
    where_expression,
    anomaly_sensitivity,
    anomaly_direction,
    min_training_set_size,
    time_bucket,
    days_back,
    backfill_days,
    seasonality,
    sensitivity,
    ignore_small_changes,
    fail_on_zero,
    detection_delay,
    anomaly_exclude_metrics,
    detection_period,
    training_period,
    dimensions,
    min_value=none,
    exclude_detection_period_from_training=none
) %}
{{ config(enabled=false) }}
{{ elementary._refuse_to_run() }}
{% endtest %}
