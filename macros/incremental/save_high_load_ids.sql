{% macro save_high_load_ids() %}
    {#- A rebuilt window of a partitioned model read a part of its inputs only: the marks stay. -#}
    {% if config.get('incremental_strategy') == 'touched_keys' and not partition_window() %}
        {#- Not is_incremental(): after a build that replaced a view or was the first, it no longer
            says what the build did. The table of touched keys exists only in an increment. -#}
        {% set is_increment = run_query("select to_regclass('pg_temp.touched_keys') is not null")[0][0] %}
        {% set marks = high_load_ids() if is_increment else {} %}
        {% set model_inputs = model_state_schema() ~ '.model_inputs' %}
        {% if not is_increment %}
            delete from {{ model_inputs }} where model_name = '{{ model.name }}';
        {% endif %}
        {% for rule in touched_by() %}
            {% if rule.row_id %}
                {{ _save_row_keys(rule, marks.get(rule.input_name) if is_increment else none) }}
            {% endif %}
            {#- An increment looks only behind the mark it started from, which an index answers, and
                keeps that mark if nothing is there (as with --empty). -#}
            {% set mark = marks.get(rule.input_name, 0) %}
            insert into {{ model_inputs }} as stored
            select
                '{{ model.name }}',
                '{{ rule.input_name }}',
                coalesce(max(input_rows._load_id), {{ mark }}),
                now()
            from (select * from {{ ref(rule.input_name) }}) as input_rows
            {% if mark %}
                where input_rows._load_id > {{ mark }}
            {% endif %}
            on conflict (model_name, input_name) do update
            set
                high_load_id = greatest(stored.high_load_id, excluded.high_load_id),
                updated_at = excluded.updated_at
            where excluded.high_load_id > stored.high_load_id;
        {% endfor %}
    {% endif %}
{% endmacro %}

{% macro _save_row_keys(rule, high_load_id) %}
    {#- Which key each row of the input belonged to when this model last read it. A row that moves
        (an item to another order) names only its new key; the old one is touched through this. -#}
    {% if high_load_id is none %}
        drop table if exists {{ rule.row_keys }};
        create table {{ rule.row_keys }} (row_id bigint primary key, touched_key bigint);
        insert into {{ rule.row_keys }}
        select input_rows.{{ rule.row_id }}, input_rows.{{ rule.column }}
        from (select * from {{ ref(rule.input_name) }}) as input_rows;
    {% else %}
        insert into {{ rule.row_keys }} as stored
        select input_rows.{{ rule.row_id }}, input_rows.{{ rule.column }}
        from (select * from {{ ref(rule.input_name) }}) as input_rows
        where input_rows._load_id > {{ high_load_id }}
        on conflict (row_id) do update set touched_key = excluded.touched_key
        where stored.touched_key is distinct from excluded.touched_key;
    {% endif %}
{% endmacro %}
