{% macro input_marks() %}
    {#- How far the model has read each input, read with plain queries so that touched_keys_sql holds
        literals: the planner then knows how few rows lie behind a mark and takes the index. -#}
    {% set marks = {} %}
    {% set schema_name = model_state_schema() %}
    {% if run_query("select to_regclass('" ~ schema_name ~ ".model_builds') is not null")[0][0] %}
        {% set stored = run_query(
            "select input_name, inputs.high_load_id, coalesce(inputs.build_number, -1), "
            ~ "coalesce(inputs.build_number + 1 >= builds.changes_from, false), "
            ~ "coalesce(inputs.build_number = builds.build_number, false) "
            ~ "from " ~ schema_name ~ ".model_inputs as inputs "
            ~ "left join " ~ schema_name ~ ".model_builds as builds on inputs.input_name = builds.model_name "
            ~ "where inputs.model_name = '" ~ model.name ~ "'") %}
        {% for row in stored %}
            {% do marks.update({row[0]: {
                'high_load_id': (row[1] or 0) | int,
                'build_number': row[2] | int,
                'is_complete': row[3],
                'is_read': row[4],
            }}) %}
        {% endfor %}
    {% endif %}
    {{ return(marks) }}
{% endmacro %}

{% macro collect_touched_keys() %}
    {% if config.get('incremental_strategy') == 'touched_keys' and is_incremental() %}
        {% set marks = input_marks() %}
        {% for rule in touched_by() if rule.kind != 'built' %}
            {#- Rows of the load that the mark names, or of later ones, are there unless the input was
                rebuilt with loads that count from the start again. -#}
            {% set mark = marks.get(rule.input_name, {}).get('high_load_id', 0) %}
            {% set input_relation = '(select * from ' ~ ref(rule.input_name) ~ ') as input_rows' %}
            {% if run_query(
                'select exists (select from ' ~ input_relation ~ ')'
                ~ ' and not exists (select from ' ~ input_relation
                ~ ' where input_rows._load_id >= ' ~ mark ~ ')'
            )[0][0] %}
                {% do exceptions.raise_compiler_error(
                    model.name ~ ': all rows of ' ~ rule.input_name ~ ' come from loads older than '
                    ~ mark ~ ', which this model has read. The input was rebuilt; run: '
                    ~ 'dbt build --full-refresh --select ' ~ model.name ~ '+') %}
            {% endif %}
        {% endfor %}
        {% set names = _touched_key_names() %}
        create temporary table touched_keys on commit drop as
        select touched.{{ names | join(', touched.') }}
        from ({{ touched_keys_sql(marks) }}) as touched
        where
            {%- for name in names %}
            touched.{{ name }} is not null and
            {%- endfor %}
            {# With --empty the inputs have no rows to compute the keys from. #}
            {{ 'false' if flags.EMPTY else 'true' }};
        analyze pg_temp.touched_keys
    {% endif %}
{% endmacro %}
