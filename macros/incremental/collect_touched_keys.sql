{% macro input_marks(rules) %}
    {#- How far the model has read each input, read with plain queries so that touched_keys_sql holds
        literals: the planner then knows how few rows lie behind a mark and takes the index. -#}
    {% set marks = {} %}
    {% set schema_name = model_state_schema() %}
    {% if run_query("select to_regclass('" ~ schema_name ~ ".model_builds') is not null")[0][0] %}
        {% set stored = run_query(
            "select input_name, inputs.high_load_id, coalesce(inputs.build_number, -1), "
            ~ "coalesce(inputs.build_number + 1 >= builds.changes_from, false), "
            ~ "coalesce(inputs.build_number = builds.build_number, false), inputs.content_hash "
            ~ "from " ~ schema_name ~ ".model_inputs as inputs "
            ~ "left join " ~ schema_name ~ ".model_builds as builds on inputs.input_name = builds.model_name "
            ~ "where inputs.model_name = '" ~ _input_name(model) ~ "'") %}
        {% for row in stored %}
            {% do marks.update({row[0]: {
                'high_load_id': row[1] | int if row[1] is not none else none,
                'build_number': row[2] | int,
                'is_complete': row[3],
                'is_read': row[4],
                'content_hash': row[5],
            }}) %}
        {% endfor %}
    {% endif %}
    {% for rule in rules if rule.kind not in ['static', 'new'] %}
        {% set mark = marks.setdefault(rule.input_name, {'is_complete': false, 'is_read': false}) %}
        {% if rule.kind == 'whole' %}
            {% do mark.update({
                'is_complete': mark.get('content_hash') is not none
                and run_query('select ' ~ _content_hash_sql(rule))[0][0] == mark.content_hash
            }) %}
        {% elif rule.kind != 'built' %}
            {% do mark.update({'is_complete': mark.get('high_load_id') is not none, 'is_read': false}) %}
        {% endif %}
        {% do mark.update({'high_load_id': mark.get('high_load_id') or 0}) %}
    {% endfor %}
    {{ return(marks) }}
{% endmacro %}

{% macro collect_touched_keys() %}
    {% if execute and is_of_strategy(model) %}
        {#- Here, not in the increment alone: what is wrong with a model shows in its first build. -#}
        {% do check_touched_model() %}
        {% if invocation_args_dict.get('sample') %}
            {% do _touched_by_error(
                'a sample of its inputs would take the rows of all others for gone; build it without --sample') %}
        {% endif %}
        {% set rules = touched_by() %}
        {% do check_state_names(rules) %}
        {% if is_incremental() %}
            {{ _collect_touched_keys_sql(rules) }}
        {% endif %}
    {% endif %}
{% endmacro %}

{% macro _collect_touched_keys_sql(rules) %}
    {% set marks = input_marks(rules) %}
    {% for rule in rules if rule.kind in ['loaded', 'snapshot'] %}
        {#- Rows of the load that the mark names, or of later ones, are there unless the input was
            rebuilt with loads that count from the start again. -#}
        {% set mark = marks[rule.input_name].high_load_id %}
        {% set input_relation = input_rows(rule.node) ~ ' as input_rows' %}
        {% set found = run_query(
            'select exists (select from ' ~ input_relation ~ ')'
            ~ ' and not exists (select from ' ~ input_relation
            ~ ' where input_rows._load_id >= ' ~ mark ~ '), '
            ~ "to_regclass('" ~ rule.row_keys ~ "') is null"
        )[0] %}
        {% if found[0] %}
            {% do exceptions.raise_compiler_error(
                _input_name(model) ~ ': all rows of ' ~ rule.input_name ~ ' come from loads older than '
                ~ mark ~ ', which this model has read. The input was rebuilt; run: '
                ~ 'dbt build --full-refresh --select ' ~ _input_name(model) ~ '+') %}
        {% endif %}
        {#- A changed declaration may want to know what no build before it has kept. -#}
        {% if rule.row_id and found[1] and marks[rule.input_name].is_complete %}
            {% do exceptions.raise_compiler_error(
                _input_name(model) ~ ': which rows of ' ~ rule.input_name ~ ' belonged to which key was not kept by its last '
                ~ 'build, as touched_by was another then; run: dbt build --full-refresh --select ' ~ _input_name(model) ~ '+') %}
        {% endif %}
    {% endfor %}
    {% set names = _touched_key_names() %}
    create temporary table touched_keys on commit drop as
    select touched.{{ names | join(', touched.') }}
    from ({{ touched_keys_sql(rules, marks) }}) as touched
    where
        {%- for name in names %}
        touched.{{ name }} is not null and
        {%- endfor %}
        {# With --empty the inputs have no rows to compute the keys from. #}
        {{ 'false' if flags.EMPTY else 'true' }};
    analyze pg_temp.touched_keys
{% endmacro %}
