{% macro touched_keys_sql(rules, marks) %}
    {%- set key_columns = touched_key_columns() -%}
    {%- for rule in rules if rule.kind not in ['static', 'new'] and not marks[rule.input_name].is_complete %}
        {{- return(_all_keys_sql()) }}
    {%- endfor -%}
    select {{ _as_touched_keys(key_columns) }} from {{ this }} where false
    {%- for rule in rules if rule.kind not in ['static', 'new', 'whole'] and not marks[rule.input_name].is_read %}
        {%- set mark = marks[rule.input_name] %}
        union
        {%- if rule.as_of %}
        {{ _keys_as_of_sql(rule, mark.build_number) }}
        {%- elif rule.through %}
        select {{ _as_touched_keys(rule.through_columns) }}
        from {{ rule.through_rows }} as through_rows
        where {{ rule.columns[0] }} in ({{ _changed_values_sql(rule, mark) }})
        {%- else %}
        {{ _changed_values_sql(rule, mark) }}
        {%- endif %}
        {%- if rule.row_id %}
        union
        select row_keys.{{ _touched_key_names() | join(', row_keys.') }}
        from {{ rule.row_keys }} as row_keys
        where row_keys.row_id in (
            select input_rows.{{ rule.row_id }} from {{ input_rows(rule.node) }} as input_rows
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
        from {{ input_rows(rule.node) }} as input_rows
        where input_rows._load_id > {{ mark.get('high_load_id', 0) }}
    {%- elif rule.uses -%}
        {#- A row that is the same in all columns that matter cancels out. -#}
        select {{ values }}
        from {{ rule.changes }} as changed_rows
        where changed_rows._build_number > {{ mark.build_number }}
        group by {{ (['_build_number'] + rule.columns + used_columns(rule)) | unique | join(', ') }}
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
    {%- set grouped = [rule.columns[0], '_build_number'] + used_columns(rule) -%}
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

{% macro used_columns(rule) %}
    {#- What the rule declares, and all columns of the input that the SQL, that of the views between, or a column of the
        model, is called by: a column that a declaration forgets would leave rows as they were. -#}
    {% set code = (model.get('compiled_code') or model.raw_code) ~ rule.code %}
    {% set own_columns = adapter.get_columns_in_relation(this) | map(attribute='name') | join('\n') %}
    {% set words = modules.re.findall('\\w+', (code ~ '\n' ~ own_columns) | lower) %}
    {% set as_of_columns = ['valid_from', 'valid_to'] if rule.as_of else [] %}
    {% set named = [] %}
    {% for column in adapter.get_columns_in_relation(input_relation(rule.node)) if column.name not in as_of_columns %}
        {% if modules.re.findall('\\w+', column.name | lower) | reject('in', words) | list == [] %}
            {% do named.append(column.quoted) %}
        {% endif %}
    {% endfor %}
    {{ return((rule.uses + named) | unique | list) }}
{% endmacro %}

{% macro _all_keys_sql() -%}
    {#- What changed in an input since the model's last build is not known, or not all of it: it was rebuilt, or has only
        its content, or this is the first time that the model depends on it. Any key may come or go then: those of the rows
        that are there, and those that the model's query gives without its filters. -#}
    {%- do model.update({'is_unfiltered': true}) -%}
    {%- set query = render(model.raw_code) -%}
    {%- do model.update({'is_unfiltered': false}) -%}
    {%- set ephemeral_models = model.get('extra_ctes', []) | map(attribute='sql') | select | join(', ') -%}
    select {{ _as_touched_keys(touched_key_columns()) }} from {{ this }}
    union
    select {{ _as_touched_keys(touched_key_columns()) }}
    from (
        {{ 'with ' ~ ephemeral_models if ephemeral_models }}
        select * from (
            {{ query }}
        ) as query_rows
    ) as computed_rows
{%- endmacro %}

{% macro _content_hash_sql(rule) -%}
    {#- Of the whole input, in any order of its rows. -#}
    (
        select count(*) || ':' || coalesce(sum(hashtextextended(input_rows::text, 0)::numeric), 0)
        from {{ input_rows(rule.node) }} as input_rows
    )
{%- endmacro %}
