{% test casts_lose_nothing(model) %}
    {#- Only casts to a type that cannot hold all that raw's column can are looked at, by casting there and back: none, until
        the source's column becomes wider. Text is parsed, not narrowed: what does not parse is an error by itself. -#}
    {% set known = '(smallint|int2|integer|int4?|bigint|int8|numeric|decimal|real|float4?|float8|double precision|'
        ~ 'boolean|date|timestamptz|timestamp|timetz|time)' %}
    {% set checks = [] %}
    {% for node in (graph.nodes.values() if execute else []) if node.get('relation_name') == model | string %}
        {% for source in graph.sources.values() if source.unique_id in node.depends_on.nodes %}
            {% for column in partition_columns(source.relation_name)
                if not modules.re.match('text|char|bpchar|varchar|json', column.type) %}
                {% set name = '"?' ~ modules.re.escape(column.name) ~ '"?' %}
                {% for cast in modules.re.findall('(?i)(?<![\\w.])' ~ name ~ '\\s*::\\s*' ~ known ~ '\\b', node.raw_code)
                    + modules.re.findall('(?i)cast[(]\\s*' ~ name ~ '\\s+as\\s+' ~ known ~ '\\b', node.raw_code) %}
                    {% set type = run_query("select format_type('" ~ cast ~ "'::regtype, null)")[0][0] %}
                    {% if not type_holds(type, column.type) %}
                        {% do checks.append({'source': source.relation_name, 'column': column, 'type': type}) %}
                    {% endif %}
                {% endfor %}
            {% endfor %}
        {% endfor %}
    {% endfor %}
    {% for check in checks %}
        select
            '{{ check.column.name }}::{{ check.type }}' as lossy_cast,
            {{ check.column.quoted }}::text as raw_value
        from {{ check.source }}
        where {{ check.column.quoted }}::{{ check.type }}::{{ check.column.type }} <> {{ check.column.quoted }}
        union all
    {% endfor %}
    select
        null as lossy_cast,
        null as raw_value
    where false
{% endtest %}
