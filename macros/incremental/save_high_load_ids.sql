{% macro save_high_load_ids() %}
    {% if not execute %}
        {#- dbt only parses: there is nothing to ask the warehouse yet. -#}
    {% elif model.resource_type == 'snapshot' %}
        {#- Another strategy may change a version and leave its _load_id: such a snapshot is compared whole. -#}
        {% if _input_kind(model) == 'snapshot' %}
            {{ _save_snapshot_mark() }}
        {% endif %}
    {% elif not is_of_strategy(model) %}
        {{ _forget_model() }}
    {#- A rebuilt window of a partitioned model read a part of its inputs only: the marks stay. -#}
    {% elif not partition_window() %}
        {#- Not is_incremental(): after a build that replaced a view or was the first, it no longer
            says what the build did. The table of touched keys exists only in an increment. -#}
        {% set is_increment = run_query("select to_regclass('pg_temp.touched_keys') is not null")[0][0] %}
        {% set rules = touched_by() %}
        {% set marks = input_marks(rules) if is_increment else {} %}
        {% set model_inputs = model_state_schema() ~ '.model_inputs' %}
        {% if not is_increment %}
            {#- The increments check the rows that they write. -#}
            {% do check_touched_key_is_there(adapter.get_columns_in_relation(this)) %}
            {% do check_key_is_whole(this) %}
            delete from {{ model_inputs }} where model_name = '{{ _input_name(model) }}';
        {% endif %}
        {% for rule in rules if rule.kind in ['loaded', 'snapshot'] and not rule.row_id %}
            {#- Not kept up, they would tell a later build wrong. -#}
            drop table if exists {{ rule.row_keys }};
        {% endfor %}
        {% set read_names = rules | rejectattr('kind', 'in', ['static', 'new']) | map(attribute='input_name') | list %}
        delete from {{ model_inputs }}
        where model_name = '{{ _input_name(model) }}' and input_name <> all(array['{{ read_names | join("', '") }}']);
        {#- With --empty an increment has read nothing. -#}
        {% for rule in rules if rule.kind not in ['static', 'new'] and not (is_increment and flags.EMPTY) %}
            {% set stored = marks.get(rule.input_name, {}) %}
            {% set mark = stored.get('high_load_id', 0) %}
            {% if rule.row_id %}
                {{ _save_row_keys(rule, mark if stored.is_complete else none) }}
            {% endif %}
            insert into {{ model_inputs }} as stored (
                model_name, input_name, high_load_id, build_number, content_hash, updated_at
            )
            select '{{ _input_name(model) }}', '{{ rule.input_name }}', {{ _new_mark_sql(rule, mark) }}, now()
            on conflict (model_name, input_name) do update
            set
                high_load_id = excluded.high_load_id,
                build_number = excluded.build_number,
                content_hash = excluded.content_hash,
                updated_at = excluded.updated_at
            where (excluded.high_load_id, excluded.build_number, excluded.content_hash)
            is distinct from (stored.high_load_id, stored.build_number, stored.content_hash);
        {% endfor %}
        {{ _save_changes(is_increment) }}
    {% endif %}
{% endmacro %}

{% macro _forget_model() %}
    {#- A model that is built another way now, or is a view: which keys its rows had, and what changed in it, is not noted
        meanwhile. If the strategy comes back, it and what is computed from it touch every key. -#}
    delete from {{ model_state_schema() }}.model_inputs where model_name = '{{ _input_name(model) }}';
    update {{ model_state_schema() }}.model_builds
    set build_number = build_number + 1, changes_from = build_number + 2
    where model_name = '{{ _input_name(model) }}'
{% endmacro %}

{% macro _new_mark_sql(rule, mark) %}
    {#- high_load_id, build_number, content_hash. -#}
    {% set builds = '(select builds.{} from ' ~ model_state_schema() ~ ".model_builds as builds where builds.model_name = '"
        ~ rule.input_name ~ "')" %}
    {% if rule.kind == 'built' %}
        null::bigint, {{ 'null::bigint' if flags.EMPTY else builds.format('build_number') }}, null
    {% elif rule.kind == 'whole' %}
        null::bigint, null::bigint, {{ 'null' if flags.EMPTY else _content_hash_sql(rule) }}
    {% elif rule.kind == 'snapshot' and not flags.EMPTY %}
        {#- Not the highest load it holds: one that it has not read yet may be older. -#}
        greatest({{ mark }}, {{ builds.format('high_load_id') }}), null::bigint, null
    {% else %}
        {{ _high_load_id_sql(input_rows(rule.node), mark) }}, null::bigint, null
    {% endif %}
{% endmacro %}

{% macro _high_load_id_sql(relation, mark) %}
    {#- The highest load that was read, or the last before one that may still commit. An increment
        looks only behind the mark it started from, which an index answers, and keeps that mark if
        nothing is there. -#}
    greatest({{ mark }}, (
        select case when count(*) > 0 then least(max(input_rows._load_id), {{ _last_safe_load_id_sql() }}) end
        from {{ relation }} as input_rows
        {% if mark %}
            where input_rows._load_id > {{ mark }}
        {% endif %}
    ))
{% endmacro %}

{% macro _last_safe_load_id_sql() %}
    {#- A load takes its id before it commits, so a lower id may commit after a higher one was read.
        A run says in ops.runs from which id on its loads may still be under way. -#}
    {% if run_query(
        "select exists (select from pg_catalog.pg_attribute "
        ~ "where attrelid = to_regclass('ops.runs') and attname = 'loading_from' and not attisdropped)"
    )[0][0] %}
        (select min(runs.loading_from) - 1 from ops.runs as runs where runs.status = 'running')
    {% else %}
        null::bigint
    {% endif %}
{% endmacro %}

{% macro _save_snapshot_mark() %}
    {% set model_builds = model_state_schema() ~ '.model_builds' %}
    {% set stored = run_query(
        "select coalesce(max(high_load_id), 0) from " ~ model_builds ~ " where model_name = '" ~ model.name ~ "'"
    )[0][0] | int %}
    insert into {{ model_builds }} as stored (model_name, build_number, changes_from, high_load_id, updated_at)
    select '{{ model.name }}', 1, 1, {{ _high_load_id_sql(this, stored) }}, now()
    on conflict (model_name) do update
    set
        build_number = stored.build_number + 1,
        high_load_id = excluded.high_load_id,
        updated_at = excluded.updated_at
{% endmacro %}

{% macro _save_row_keys(rule, high_load_id) %}
    {#- Which key each row of the input belonged to when this model last read it. A row that moves
        (an item to another order) names only its new key; the old one is touched through this. -#}
    {% set names = _touched_key_names() %}
    {% if high_load_id is none %}
        drop table if exists {{ rule.row_keys }};
        create table {{ rule.row_keys }} as
        select input_rows.{{ rule.row_id }} as row_id, {{ _as_touched_keys(rule.columns) }}
        from {{ input_rows(rule.node) }} as input_rows;
        alter table {{ rule.row_keys }} add primary key (row_id);
    {% else %}
        insert into {{ rule.row_keys }} as stored
        select input_rows.{{ rule.row_id }}, {{ _as_touched_keys(rule.columns) }}
        from {{ input_rows(rule.node) }} as input_rows
        where input_rows._load_id > {{ high_load_id }}
        on conflict (row_id) do update
        set
            {%- for name in names %}
            {{ name }} = excluded.{{ name }}{{ ',' if not loop.last }}
            {%- endfor %}
        where (stored.{{ names | join(', stored.') }}) is distinct from (excluded.{{ names | join(', excluded.') }});
    {% endif %}
{% endmacro %}
