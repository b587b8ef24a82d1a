{#- The distinct values of a column as a list; `default` when there is no relation or no row. -#}
{% macro get_column_values(
    table, column, order_by='count(*) desc', max_records=none, default=none, where=none
) %}
    {%- if not execute -%}
        {%- do return([]) -%}
    {%- endif -%}
    {%- do dbt_utils._require_relation(table, 'get_column_values') -%}
    {%- if load_relation(table) is none -%}
        {%- if default is none -%}
            {%- do exceptions.raise_compiler_error(
                'In get_column_values(): relation ' ~ table
                ~ ' does not exist and no default value was provided.'
            ) -%}
        {%- endif -%}
        {%- do log('Relation ' ~ table ~ ' does not exist. Returning the default value: ' ~ default) -%}
        {%- do return(default) -%}
    {%- endif -%}
    {%- set query %}
        select {{ column }} as value
        from {{ table }}
        {{ 'where ' ~ where if where is not none }}
        group by {{ column }}
        order by {{ order_by }}
        {{ 'limit ' ~ max_records if max_records is not none }}
    {%- endset -%}
    {%- set values = run_query(query).columns[0].values() | list -%}
    {%- do return(values or default) -%}
{% endmacro %}
