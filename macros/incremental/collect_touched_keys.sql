{% macro high_load_ids() %}
    {#- The mark of each input, read with plain queries so that touched_keys_sql holds literals:
        the planner then knows how few rows lie behind a mark and takes the index. -#}
    {% set marks = {} %}
    {% set stored = run_query(
        "select input_name, high_load_id from " ~ model_state_schema()
        ~ ".model_inputs where model_name = '" ~ model.name ~ "'") %}
    {% for row in stored %}
        {% do marks.update({row[0]: row[1] | int}) %}
    {% endfor %}
    {{ return(marks) }}
{% endmacro %}

{% macro collect_touched_keys() %}
    {% if config.get('incremental_strategy') == 'touched_keys' and is_incremental() %}
        {% set marks = high_load_ids() %}
        {% for rule in touched_by() %}
            {#- Rows of the load that the mark names, or of later ones, are there unless the input was
                rebuilt with loads that count from the start again. -#}
            {% set mark = marks.get(rule.input_name, 0) %}
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
        create temporary table touched_keys on commit drop as
        select touched.touched_key from ({{ touched_keys_sql(marks) }}) as touched
        where touched.touched_key is not null;
        analyze pg_temp.touched_keys
    {% endif %}
{% endmacro %}
