{% macro touched_keys_sql(marks) %}
    {#- Inputs are wrapped in a subquery, here and in the macros beside this one: with --empty, dbt
        renders a ref with an alias of its own. -#}
    {%- set key_columns = touched_key_columns() -%}
    {%- for rule in touched_by() %}
        {%- set mark = marks.get(rule.input_name, {}) -%}
        {%- if not loop.first %}
        union
        {%- endif %}
        {%- if rule.kind == 'built' and mark.is_read %}
        select {{ _as_touched_keys(key_columns) }} from {{ this }} where false
        {%- elif rule.kind == 'built' and not mark.is_complete %}
        {{ _all_keys_sql(rule) }}
        {%- elif rule.as_of %}
        {{ _keys_as_of_sql(rule, mark.build_number) }}
        {%- elif rule.through %}
        select {{ _as_touched_keys(key_columns) }}
        from (select * from {{ this if rule.through == 'this' else ref(rule.through) }}) as through_rows
        where {{ rule.columns[0] }} in ({{ _changed_values_sql(rule, mark) }})
        {%- else %}
        {{ _changed_values_sql(rule, mark) }}
        {%- endif %}
        {%- if rule.row_id %}
        union
        select row_keys.{{ _touched_key_names() | join(', row_keys.') }}
        from {{ rule.row_keys }} as row_keys
        where row_keys.row_id in (
            select input_rows.{{ rule.row_id }} from (select * from {{ ref(rule.input_name) }}) as input_rows
            where input_rows._load_id > {{ mark.get('high_load_id', 0) }}
        )
        {%- endif %}
    {%- endfor %}
{% endmacro %}

{% macro _as_touched_keys(expressions) -%}
    {%- for name in _touched_key_names() -%}
        {{ expressions[loop.index0] }} as {{ name }}{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{% macro _changed_values_sql(rule, mark) -%}
    {#- What the rule's columns hold, or held, in the rows that changed. -#}
    {%- set values = rule.columns[0] if rule.through else _as_touched_keys(rule.columns) -%}
    {%- if rule.kind != 'built' -%}
        select {{ values }}
        from (select * from {{ ref(rule.input_name) }}) as input_rows
        where input_rows._load_id > {{ mark.get('high_load_id', 0) }}
    {%- elif rule.uses -%}
        {#- A row that is the same in all columns that matter cancels out. -#}
        select {{ values }}
        from {{ rule.changes }} as changed_rows
        where changed_rows._build_number > {{ mark.build_number }}
        group by {{ (['_build_number'] + rule.columns + rule.uses) | unique | join(', ') }}
        having count(*) filter (where changed_rows._is_new) <> count(*) filter (where not changed_rows._is_new)
    {%- else -%}
        select distinct {{ values }}
        from {{ rule.changes }} as changed_rows
        where changed_rows._build_number > {{ mark.build_number }}
    {%- endif -%}
{%- endmacro %}

{% macro _keys_as_of_sql(rule, build_number) -%}
    {#- Rows whose moment lies where the input, looked up as of then, gives something else than before:
        for each combination of the columns that matter, when it holds only now or only held before. -#}
    {%- set grouped = [rule.columns[0], '_build_number'] + rule.uses -%}
    select {{ _as_touched_keys(touched_key_columns()) }}
    from (select * from {{ this }}) as through_rows
    inner join (
        select
            validities.entity_id,
            (validities.now_valid - validities.once_valid)
            + (validities.once_valid - validities.now_valid) as changed_ranges
        from (
            select
                {{ rule.columns[0] }} as entity_id,
                coalesce(range_agg(tstzrange(valid_from, valid_to)) filter (where _is_new), '{}') as now_valid,
                coalesce(range_agg(tstzrange(valid_from, valid_to)) filter (where not _is_new), '{}') as once_valid
            from {{ rule.changes }}
            where _build_number > {{ build_number }}
            group by {{ grouped | unique | join(', ') }}
        ) as validities
    ) as changed
        on
            through_rows.{{ rule.columns[0] }} = changed.entity_id
            and through_rows.{{ rule.as_of }} <@ changed.changed_ranges
{%- endmacro %}

{% macro _all_keys_sql(rule) -%}
    {#- The input's changes since the model's last build are not known, or not all of them: it was
        rebuilt, or this is the first time that the model depends on it. -#}
    select {{ _as_touched_keys(touched_key_columns()) }} from {{ this }}
    {%- if not rule.through %}
    union
    select {{ _as_touched_keys(rule.columns) }} from (select * from {{ ref(rule.input_name) }}) as input_rows
    {%- endif %}
{%- endmacro %}
