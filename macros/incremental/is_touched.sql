{% macro is_touched(column) -%}
    {%- if is_incremental() -%}
        {%- set columns = [column] + (varargs | list) -%}
        {{ columns[0] if columns | length == 1 else '(' ~ columns | join(', ') ~ ')' }} in (
            select touched.{{ _touched_key_names(columns) | join(', touched.') }} from {{ touched_keys() }} as touched
        )
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{% macro touched_keys() -%}
    {#- Inside a build the keys were collected by the pre-hook. `dbt compile`, `dbt show` and docs
        run no hooks; they get the same query in place, so their SQL can be run as it is. -#}
    {%- if flags.WHICH in ['compile', 'show', 'generate'] -%}
        {%- set rules = touched_by() -%}
        ({{ touched_keys_sql(rules, input_marks(rules)) }})
    {%- else -%}
        pg_temp.touched_keys
    {%- endif -%}
{%- endmacro %}
