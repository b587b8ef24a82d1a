{#- Stand-in for Elementary's test: disabled, so it shows as not run. -#}
{% test schema_changes(model) %}
{{ config(enabled=false) }}
{{ elementary._refuse_to_run() }}
{% endtest %}
