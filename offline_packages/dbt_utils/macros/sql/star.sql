{#- All columns of a relation but the excepted ones, as a select list. -#}
{% macro star(
    from, relation_alias=false, except=[], prefix='', suffix='', quote_identifiers=true
) -%}
    {%- do dbt_utils._require_relation(from, 'star') -%}
    {%- if not execute -%}
        {%- do return('*') -%}
    {%- endif -%}
    {%- set excepted = except | map('lower') | list -%}
    {%- set selected = [] -%}
    {%- for column in adapter.get_columns_in_relation(from) if column.column | lower not in excepted -%}
        {%- set name = adapter.quote(column.column) if quote_identifiers else column.column -%}
        {%- set alias = prefix ~ column.column ~ suffix -%}
        {%- do selected.append(
            (relation_alias ~ '.' if relation_alias else '')
            ~ name
            ~ (' as ' ~ (adapter.quote(alias) if quote_identifiers else alias) if prefix or suffix else '')
        ) -%}
    {%- endfor -%}
    {%- if selected | length == 0 -%}
        {%- do return('/* no columns returned from star() macro */') -%}
    {%- endif -%}
    {{ selected | join(',\n  ') }}
{%- endmacro %}
