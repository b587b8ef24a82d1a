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
            {% set newest = run_query(
                'select max(input_rows._load_id) from (select * from ' ~ ref(rule.input_name)
                ~ ') as input_rows'
            )[0][0] %}
            {% if newest is not none and newest | int < marks.get(rule.input_name, 0) %}
                {% do exceptions.raise_compiler_error(
                    model.name ~ ': the newest load in ' ~ rule.input_name ~ ' is ' ~ newest
                    ~ ', older than the load this model has read (' ~ marks[rule.input_name]
                    ~ '). The input was rebuilt; run: dbt build --full-refresh --select '
                    ~ model.name ~ '+') %}
            {% endif %}
        {% endfor %}
        create temporary table touched_keys on commit drop as
        select touched.touched_key from ({{ touched_keys_sql(marks) }}) as touched
        where touched.touched_key is not null;
        analyze pg_temp.touched_keys
    {% endif %}
{% endmacro %}
