{#- The last day that counts: the variable as_of_date, else the newest day with an order. -#}
{%- macro as_of_date() -%}
    {%- set data_end = ref('int_orders__data_end') -%}
    {%- if var('as_of_date', none) is none -%}
        (select data_end.last_order_date from {{ data_end }} as data_end)
    {%- else -%}
        {%- set parsed = modules.datetime.date.fromisoformat(var('as_of_date') | string) -%}
        '{{ parsed.isoformat() }}'::date
    {%- endif -%}
{%- endmacro -%}
