{#- Nothing that PostgreSQL would round on its way into a column gets there. Text that is too long is refused by PostgreSQL. -#}

{% macro rounds(type) %}
    {#- Whether a type cuts values without an error: numeric(18,2), timestamp(0), …; not varchar(3), not numeric. -#}
    {{ return(modules.re.match('(?i)(numeric|decimal|timestamp|timestamptz|time|timetz|interval)\\b[^(]*[(]', type) is not none) }}
{% endmacro %}

{% macro lossless(expression, type, name) -%}
    {#- The expression, or an error that shows the value. There is no RAISE in SQL; a cast of the message is one. -#}
    {%- if rounds(type) -%}
        case
            when {{ expression }} = ({{ expression }})::{{ type }} or {{ expression }} is null then {{ expression }}
            else (
                {{ expression }} || {{ dbt.string_literal(
                    ' does not fit ' ~ model.name ~ '.' ~ name ~ ', which is ' ~ type
                    ~ ': widen data_type in its YAML and run with --full-refresh, or round() in the SQL') }}
            )::{{ modules.re.sub('[(][^)]*[)]', '', type) }}
        end
    {%- else -%}
        {{ expression }}
    {%- endif -%}
{%- endmacro %}

{% macro postgres__get_select_subquery(sql) %}
    {#- dbt puts this into a table with a contract. -#}
    select
        {%- for column in model.columns.values() %}
        {%- set quoted = adapter.quote(column.name) if column.get('quote') else column.name %}
        {{ lossless('model_subq.' ~ quoted, column.data_type, column.name) }} as {{ quoted }}{{ ',' if not loop.last }}
        {%- endfor %}
    from (
        {{ sql }}
    ) as model_subq
{% endmacro %}

{% macro check_nothing_is_lost(computed_relation, target_relation, condition='true') %}
    {#- The same for rows that go into a table that is there. -#}
    {% set computed_types = {} %}
    {% for column in partition_columns(computed_relation) %}
        {% do computed_types.update({column.name: column.type}) %}
    {% endfor %}
    {% set narrower = [] %}
    {% for column in partition_columns(target_relation)
        if rounds(column.type) and computed_types.get(column.name, column.type) != column.type %}
        {% do narrower.append(lossless('key_rows.' ~ column.quoted, column.type, column.name)) %}
    {% endfor %}
    {% if narrower %}
        {#- count() reads the values, and keeps none of them. -#}
        {% do run_query('select count(' ~ narrower | join('), count(') ~ ') from ' ~ computed_relation ~ ' as key_rows where ' ~ condition) %}
    {% endif %}
{% endmacro %}

{% macro check_casts() %}
    {#- On-run-start hook. A cast to a type with a size rounds before any of the checks above can see it. -#}
    {% if execute %}
        {% set sized = '(numeric|decimal|varchar|character varying|char|character|bpchar|timestamp|timestamptz|time|timetz|interval)' %}
        {% for node in graph.nodes.values() if node.resource_type == 'model' and node.package_name == project_name %}
            {% set cast = modules.re.search(
                '(?i)(::\\s*|\\bas\\s+)' ~ sized ~ '\\s*[(]\\s*[0-9]', node.raw_code) %}
            {% if cast %}
                {% do exceptions.raise_compiler_error(
                    node.name ~ ': ' ~ cast.group(0) ~ '…) cuts values without a word. Leave the size to data_type in the '
                    ~ 'YAML, where what does not fit is an error; say round() or left() where it is meant') %}
            {% endif %}
        {% endfor %}
    {% endif %}
{% endmacro %}
