{% macro is_new_as_of_date(column) -%}
    {%- if is_incremental() -%}
        not exists (
            select 1 from {{ this }} as prior_rows
            where prior_rows.as_of_date = {{ column }}
        )
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
