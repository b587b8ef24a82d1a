{% macro generate_schema_name(custom_schema_name, node) -%}
    {#- Elementary's schema is set here, not under `models:`, because a path there that matches
        nothing (the stand-in of an offline install has no models) is a warning in every run. -#}
    {%- if node and node.package_name == 'elementary' and node.resource_type == 'model' -%}
        {%- set schema_name = 'elementary' -%}
    {%- else -%}
        {%- set schema_name = custom_schema_name -%}
    {%- endif -%}
    {%- if not schema_name -%}
        {{ target.schema }}
    {%- elif target.name in ['prod', 'local', 'ci'] -%}
        {{ schema_name | trim }}
    {%- else -%}
        {{ target.schema }}_{{ schema_name | trim }}
    {%- endif -%}
{%- endmacro %}
