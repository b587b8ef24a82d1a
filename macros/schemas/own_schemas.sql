{% macro own_schemas() %}
    {#- The schemas that this target builds in, failing rows of tests included. The graph is known
        once dbt executes. -#}
    {% set names = [] %}
    {% if execute %}
        {% for node in graph.nodes.values() if node.schema and node.schema not in names %}
            {% do names.append(node.schema) %}
        {% endfor %}
    {% endif %}
    {{ return(names) }}
{% endmacro %}

{% macro is_of_this_target(schema_name) %}
    {#- SQL condition. In dev: one of the developer's own schemas. Elsewhere: any schema but those of
        developers, each set of which has a model_state of its own. -#}
    {% set names = own_schemas() %}
    {% if not names %}
        {{ return('true') }}
    {% elif target.name == 'dev' %}
        {{ return(schema_name ~ " in ('" ~ names | join("', '") ~ "')") }}
    {% endif %}
    {{ return("to_regnamespace(quote_ident(regexp_replace(" ~ schema_name ~ "::text, '(_(model_state|"
        ~ names | join('|') ~ "))?$', '_model_state'))) is null") }}
{% endmacro %}
