{#- The last day that counts: the variable as_of_date, else the newest day with an order. -#}
{%- macro as_of_date() -%}
    {%- set orders = ref('fct_orders') -%}
    {%- if var('as_of_date', none) is none -%}
        (select max(newest.order_date) from {{ orders }} as newest)
    {%- else -%}
        {%- set parsed = modules.datetime.date.fromisoformat(var('as_of_date') | string) -%}
        '{{ parsed.isoformat() }}'::date
    {%- endif -%}
{%- endmacro -%}
