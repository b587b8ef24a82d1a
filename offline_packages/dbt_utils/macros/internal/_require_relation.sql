{#- Raise unless `value` is a relation that exists in the database (not a CTE, not ephemeral). -#}
{% macro _require_relation(value, macro_name) %}
    {%- if not (value is mapping and value.get('metadata', {}).get('type', '').endswith('Relation')) -%}
        {%- do exceptions.raise_compiler_error(
            'Macro ' ~ macro_name ~ ' expected a Relation but received the value: ' ~ value
        ) -%}
    {%- endif -%}
    {%- if value.is_cte -%}
        {%- do exceptions.raise_compiler_error(
            'The `' ~ macro_name ~ '` macro cannot be used with ephemeral models, as it relies on '
            ~ 'the information schema. Model `' ~ value.identifier ~ '` is ephemeral.'
        ) -%}
    {%- endif -%}
{% endmacro %}
