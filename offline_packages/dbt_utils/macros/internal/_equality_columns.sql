{#- The select list of `equality`. Columns that the user names are taken as they are; else all columns
    but the excluded ones, which must be the same on both sides, or it raises. -#}
{% macro _equality_columns(model, compare_model, compare_columns, exclude_columns, precision) %}
    {%- if compare_columns and precision is none -%}
        {%- do return(compare_columns) -%}
    {%- endif -%}
    {%- set wanted = (compare_columns or []) | map('lower') | list -%}
    {%- set excluded = (exclude_columns or []) | map('lower') | list -%}
    {%- set names = [] -%}
    {%- set selected = [] -%}
    {%- for column in adapter.get_columns_in_relation(model) -%}
        {%- set name = column.name | lower -%}
        {%- if name in wanted or (not wanted and name not in excluded) -%}
            {%- do names.append(name) -%}
            {%- if precision is not none and (column.is_numeric() or column.is_float()) -%}
                {%- do selected.append(
                    'round(cast(' ~ column.quoted ~ ' as numeric), ' ~ precision ~ ') as '
                    ~ column.quoted
                ) -%}
            {%- else -%}
                {%- do selected.append(column.quoted) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set there = adapter.get_columns_in_relation(compare_model)
        | map(attribute='name') | map('lower') | reject('in', excluded) | sort | list -%}
    {%- if not wanted and names | sort | list != there -%}
        {%- do exceptions.raise_compiler_error(
            'The columns of ' ~ model ~ ' and ' ~ compare_model ~ ' differ. Make them the same, or '
            ~ 'name the columns to compare in `compare_columns`.'
        ) -%}
    {%- endif -%}
    {%- do return(selected) -%}
{% endmacro %}
