{% macro feature_definitions(feature_tables) -%}
    {#- dbt knows the YAML of other models only when it runs, not when it parses. -#}
    {%- set definitions = [] -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() | sort(attribute='name')
            if node.resource_type == 'model' and node.name in feature_tables -%}
            {%- do definitions.extend(_feature_rows(node)) -%}
        {%- endfor -%}
    {%- endif -%}
    select
        definitions.feature_table,
        definitions.feature_name,
        definitions.entity_name,
        definitions.description,
        definitions.data_type,
        definitions.knowledge,
        definitions.window_days,
        definitions.owner_name,
        definitions.owner_email,
        definitions.freshness
    from (
        values
        {% for row in definitions -%}
            ({{ row | join(', ') }}),
        {% endfor -%}
        ({{ _text(none) }}{{ (', ' ~ _text(none)) * 5 }}, null::integer{{ (', ' ~ _text(none)) * 3 }})
    ) as definitions (
        feature_table, feature_name, entity_name, description, data_type, knowledge, window_days,
        owner_name, owner_email, freshness
    )
    where definitions.feature_table is not null
{%- endmacro %}

{% macro _feature_rows(node) -%}
    {%- set table = node.config.meta.get('feature_table') -%}
    {%- if not table or table.keys() | sort != ['as_of', 'entity', 'freshness'] -%}
        {% do exceptions.raise_compiler_error(
            node.name ~ ': config.meta.feature_table must say entity, as_of and freshness') %}
    {%- endif -%}
    {%- set owners = graph.groups.values() | selectattr('name', 'equalto', node.config.group) | list -%}
    {%- if not owners -%}
        {% do exceptions.raise_compiler_error(node.name ~ ': a feature table needs a group, its owner') %}
    {%- endif -%}
    {%- set found = [] -%}
    {%- for column in node.columns.values() if column.name not in [table.entity, table.as_of] -%}
        {%- set feature = column.config.meta.get('feature', {}) -%}
        {%- if feature.get('knowledge') not in ['event', 'version']
            or feature.keys() | reject('in', ['knowledge', 'window_days']) | list
            or not column.description -%}
            {% do exceptions.raise_compiler_error(
                node.name ~ '.' ~ column.name ~ ': a feature needs a description and meta.feature '
                ~ 'with knowledge (event or version) and perhaps window_days; got ' ~ feature) %}
        {%- endif -%}
        {%- do found.append([
            _text(node.name),
            _text(column.name),
            _text(table.entity),
            _text(column.description | trim),
            _text(column.data_type),
            _text(feature.knowledge),
            feature.get('window_days', 'null') ~ '::integer',
            _text(owners[0].owner.name),
            _text(owners[0].owner.email),
            _text(table.freshness),
        ]) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

{% macro _text(value) -%}
    {{ return('null::text' if value is none else "'" ~ (value | string).replace("'", "''") ~ "'::text") }}
{%- endmacro %}
