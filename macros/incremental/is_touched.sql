{% macro is_touched(column) -%}
    {%- if is_incremental() -%}
        {{ column }} in (select touched.touched_key from {{ touched_keys() }} as touched)
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{% macro touched_keys() -%}
    {#- Inside a build the keys were collected by the pre-hook. `dbt compile`, `dbt show` and docs
        run no hooks; they get the same query in place, so their SQL can be run as it is. -#}
    {%- if flags.WHICH in ['compile', 'show', 'generate'] -%}
        ({{ touched_keys_sql() }})
    {%- else -%}
        pg_temp.touched_keys
    {%- endif -%}
{%- endmacro %}
