{% macro rule_of_node(node, name) %}
    {#- What a node promises, in a few words, for nodes without a description too. The four tests that come with dbt have
        words of their own; any other is named with its arguments. -#}
    {% if node.resource_type == 'source' %}
        {{ return(name ~ ' is fresh' ~ _freshness_limits(node.freshness or {})) }}
    {% elif node.resource_type == 'unit_test' %}
        {{ return(name.replace('__', ': ', 1).replace('_', ' ')) }}
    {% elif node.resource_type != 'test' %}
        {{ return(name ~ ' is built') }}
    {% elif not node.get('test_metadata') %}
        {{ return(name.replace('_', ' ')) }}
    {% endif %}
    {% set test, arguments = node.test_metadata, {} %}
    {% for key, value in (test.kwargs or {}).items() if key not in ['model', 'column_name'] %}
        {% do arguments.update({key: value}) %}
    {% endfor %}
    {% set column = node.column_name or test.kwargs.get('column_name') or 'the row' %}
    {% set own_name = test.name if not test.namespace %}
    {% if own_name == 'not_null' %}
        {{ return(column ~ ' is never null') }}
    {% elif own_name == 'unique' %}
        {{ return(column ~ ' is unique') }}
    {% elif own_name == 'accepted_values' %}
        {{ return(column ~ ' is one of ' ~ arguments['values'] | join(', ')) }}
    {% elif own_name == 'relationships' %}
        {% set referred = modules.re.findall('[\'"]([^\'"]+)[\'"]', arguments.to) or [arguments.to] %}
        {{ return(column ~ ' exists in ' ~ referred | last ~ ' (' ~ arguments.field ~ ')') }}
    {% endif %}
    {% set listed = [] %}
    {% for key, value in arguments.items() %}
        {% do listed.append(key ~ ': ' ~ value) %}
    {% endfor %}
    {% set listed = listed | join(', ') %}
    {% set listed = listed[:159] ~ '…' if listed | length > 160 else listed %}
    {{ return(
        (node.column_name ~ ': ' if node.column_name else '') ~ test.name.replace('_', ' ')
        ~ (' (' ~ listed ~ ')' if listed else '')
    ) }}
{% endmacro %}

{% macro _freshness_limits(freshness) %}
    {% set limits = [] %}
    {% for key, word in [('warn_after', 'warns'), ('error_after', 'fails')] %}
        {% set limit = freshness.get(key) or {} %}
        {% if limit.get('count') is not none %}
            {% do limits.append(word ~ ' after ' ~ limit.count ~ ' ' ~ limit.period ~ ('' if limit.count == 1 else 's')) %}
        {% endif %}
    {% endfor %}
    {{ return(' (' ~ limits | join(', ') ~ ')' if limits else '') }}
{% endmacro %}

{% macro tested_node(node) %}
    {#- The one node that a test is about; none for a test that compares several. A unit test lists its model first. -#}
    {% set parents = (node.get('depends_on') or {}).get('nodes') or [] %}
    {% if node.resource_type not in ['test', 'unit_test'] %}
        {{ return(none) }}
    {% endif %}
    {% set id = node.get('attached_node')
        or (parents[0] if parents | length == 1 or (parents and node.resource_type == 'unit_test')) %}
    {{ return(graph.nodes.get(id) or graph.sources.get(id)) }}
{% endmacro %}

{% macro layer_of_node(node) %}
    {#- The folder is the layer. A test belongs where what it tests does, one that compares several to the last of them. -#}
    {% set order = ['sources', 'seeds', 'staging', 'snapshots', 'intermediate', '', 'marts', 'quality', 'exposures'] %}
    {% if node.resource_type in ['source', 'seed', 'snapshot', 'exposure'] %}
        {{ return(node.resource_type ~ 's') }}
    {% elif node.resource_type == 'model' %}
        {% set folders = node.fqn[1:-1] %}
        {{ return(folders[:2 if folders[0] == 'marts' else 1] | join('/') if folders else 'models') }}
    {% elif node.resource_type not in ['test', 'unit_test'] %}
        {{ return('project') }}
    {% endif %}
    {% set tested, last = tested_node(node), {'layer': 'project', 'rank': -1} %}
    {% for id in ([tested.unique_id] if tested else node.depends_on.nodes) %}
        {% set parent = graph.nodes.get(id) or graph.sources.get(id) %}
        {% set layer = layer_of_node(parent) if parent else 'project' %}
        {% set base = layer.split('/')[0] %}
        {% set rank = order.index(base) if base in order else 5 %}
        {% if parent and rank >= last.rank %}
            {% do last.update({'layer': layer, 'rank': rank}) %}
        {% endif %}
    {% endfor %}
    {{ return(last.layer) }}
{% endmacro %}
