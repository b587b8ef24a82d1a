{#- One row when the relation lacks the column, or has it at another position (counted from 1).
    `transform` is the Jinja filter that makes both names alike. -#}
{% test expect_column_to_exist(model, column_name, column_index=none, transform='upper') %}

{%- if execute -%}
{%- set names = adapter.get_columns_in_relation(model) | map(attribute='name') -%}
{%- set names = names | map(transform) | list -%}
{%- set wanted = [column_name] | map(transform) | first -%}
{%- set index = names.index(wanted) if wanted in names else -1 %}
select *
from (
    select
        '{{ wanted }}' as column_name,
        {{ index }} as matching_column_index,
        {{ column_index is none or column_index - 1 == index }} as column_index_matches
) as found
where matching_column_index = -1 or not column_index_matches
{%- endif -%}

{% endtest %}
