{% macro build_id() -%}
    {#- Not the greatest _load_id of the inputs: a load with a smaller number may commit later, and
        the rows it touches would look as if they had been read. Transactions only count up. -#}
    pg_current_xact_id()::text::bigint
{%- endmacro %}
