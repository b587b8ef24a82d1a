{#- Stand-in for Elementary's test: disabled, so it shows as not run. -#}
{% test exposure_schema_validity(
    model,
    exposures,
    node,
    columns
) %}
{{ config(enabled=false) }}
{{ elementary._refuse_to_run() }}
{% endtest %}
