{% macro personal_columns(schema_name) -%}
    {#- By mark or by name, not by lineage, which dbt does not know: a column that is personal in one model is
        personal under that name in every other. -#}
    {%- set found, personal = [], [] -%}
    {%- set kinds = personal_data() -%}
    {%- if execute -%}
        {%- set nodes = graph.nodes.values() | list + graph.sources.values() | list -%}
        {%- for node in nodes -%}
            {%- for column in node.columns.values() if column_meta(column).get('pii') -%}
                {%- do personal.append(column.name) -%}
            {%- endfor -%}
        {%- endfor -%}
        {%- for node in nodes
            if node.resource_type == 'model' and node.config.schema == schema_name -%}
            {%- for column in node.columns.values()
                if column.name in personal or personal_kind(column.name, column_meta(column), kinds) -%}
                {%- do found.append(node.name ~ '.' ~ column.name) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}
