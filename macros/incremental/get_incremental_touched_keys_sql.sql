{% macro get_incremental_touched_keys_sql(arg_dict) %}
    {#- Every touched key is deleted, also those that give no row any more: a deleted order has to
        leave the fact. dbt's own delete+insert deletes only the keys it inserts again. -#}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    delete from {{ arg_dict['target_relation'] }}
    where {{ config.get('unique_key')[0] }} in (
        select touched.touched_key from {{ touched_keys() }} as touched
    );

    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{% endmacro %}
