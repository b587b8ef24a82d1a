{% macro touched_keys_sql(high_load_ids=none) %}
    {#- Inputs are wrapped in a subquery, here and in the macros beside this one: with --empty, dbt
        renders a ref with an alias of its own. -#}
    {%- set key = config.get('unique_key')[0] -%}
    {%- for rule in touched_by() %}
        {%- set input_relation = '(select * from ' ~ ref(rule.input_name) ~ ')' -%}
        {%- if high_load_ids is none -%}
            {%- set high_load_id = '(select coalesce(max(high_load_id), 0) from '
                ~ model_state_schema() ~ ".model_inputs where model_name = '" ~ model.name
                ~ "' and input_name = '" ~ rule.input_name ~ "')" -%}
        {%- else -%}
            {%- set high_load_id = high_load_ids.get(rule.input_name, 0) -%}
        {%- endif -%}
        {%- if not loop.first %}
        union
        {%- endif %}
        {%- if rule.through %}
        select through_rows.{{ key }} as touched_key
        from (select * from {{ this if rule.through == 'this' else ref(rule.through) }}) as through_rows
        where through_rows.{{ rule.column }} in (
            select input_rows.{{ rule.column }} from {{ input_relation }} as input_rows
            where input_rows._load_id > {{ high_load_id }}
        )
        {%- else %}
        select input_rows.{{ rule.column }} as touched_key
        from {{ input_relation }} as input_rows
        where input_rows._load_id > {{ high_load_id }}
        {%- endif %}
        {%- if rule.row_id %}
        union
        select row_keys.touched_key
        from {{ rule.row_keys }} as row_keys
        where row_keys.row_id in (
            select input_rows.{{ rule.row_id }} from {{ input_relation }} as input_rows
            where input_rows._load_id > {{ high_load_id }}
        )
        {%- endif %}
    {%- endfor %}
{% endmacro %}
