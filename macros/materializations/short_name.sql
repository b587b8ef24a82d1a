{% macro short_name(base, tail, tells_apart=none) %}
    {#- A name of at most 63 bytes, where PostgreSQL would cut without a word. One that is too long keeps its beginning
        and, if that is short, its tail, and gets a hash of the rest, so that two names never become one. -#}
    {% set name = base ~ tail %}
    {% if name.encode('utf-8') | length <= 63 %}
        {{ return(name) }}
    {% endif %}
    {% set keeps_tail = tail.encode('utf-8') | length <= 40 %}
    {% set ending = '_' ~ local_md5(tells_apart or (base if keeps_tail else name))[:10] ~ (tail if keeps_tail else '') %}
    {% set room = 63 - ending.encode('utf-8') | length %}
    {{ return(base.encode('utf-8')[:room].decode('utf-8', 'ignore') ~ ending) }}
{% endmacro %}

{% macro postgres__make_relation_with_suffix(base_relation, suffix, dstring) %}
    {#- dbt's own cuts characters off the base, so that models whose names begin alike share a table while they are built. -#}
    {% if dstring %}
        {% set suffix = suffix ~ modules.datetime.datetime.now().strftime('%H%M%S%f') %}
    {% endif %}
    {{ return(base_relation.incorporate(path={'identifier': short_name(base_relation.identifier, suffix)})) }}
{% endmacro %}

{% macro check_names() %}
    {#- On-run-start hook. Two names that are alike in their first 63 bytes are one to PostgreSQL. -#}
    {% if execute %}
        {% for node in graph.nodes.values() if node.resource_type in ['model', 'seed', 'snapshot']
            or (node.resource_type == 'test' and node.config.get('store_failures')) %}
            {% set size = node.alias.encode('utf-8') | length %}
            {% if size > 63 %}
                {% do exceptions.raise_compiler_error(
                    node.resource_type ~ ' ' ~ node.name ~ ': its name in the warehouse, ' ~ node.alias ~ ', has ' ~ size
                    ~ ' bytes; PostgreSQL cuts names at 63. Rename it, or set a shorter alias') %}
            {% endif %}
        {% endfor %}
    {% endif %}
{% endmacro %}
