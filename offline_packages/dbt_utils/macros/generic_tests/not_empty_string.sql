{#- Values that are the empty string, trimmed first unless told otherwise; null passes. -#}
{% test not_empty_string(model, column_name, trim_whitespace=true) %}

{%- set value = 'trim(' ~ column_name ~ ')' if trim_whitespace else column_name %}
select {{ value }} as {{ column_name }}
from {{ model }}
where {{ value }} = ''

{% endtest %}
