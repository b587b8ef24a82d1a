{% macro erase_person(
    kind, run_id, lock_timeout_s=60, is_folded=false, is_dry_run=false, kinds=none
) %}
    {#- Whose key it is stands in the setting haven.person_key of the session, in hexadecimal, which `haven erase` sends
        with the login: no argument, statement, log or file has it (docs/decisions/0029). The answer is printed, as
        tables of a transaction that is rolled back could not tell it. -#}
    {% if execute %}
        {% set kinds = kinds if kinds is not none else personal_data() %}
        {% set nodes = person_nodes(kinds) %}
        {% set known = nodes | selectattr('person') | map(attribute='person') | unique | sort %}
        {% if kind not in known %}
            {% do exceptions.raise_compiler_error(
                "the YAML knows no person of kind '" ~ kind ~ "'; known: "
                ~ (known | join(', ') or 'none: mark the key column with `meta.person`')) %}
        {% endif %}
        {% do run_query(operator_session('haven erase ' ~ run_id)) %}
        {% do run_query('begin') %}
        {% do run_query("set local lock_timeout = '" ~ lock_timeout_s ~ "s'") %}
        {% do run_query(erasure_functions()) %}
        {% set done = fromjson(run_query(
            'select pg_temp.erase_quietly('
            ~ dollar_quoted(tojson(nodes)) ~ ', ' ~ dollar_quoted(kind) ~ ', ' ~ (is_folded | lower) ~ ', '
            ~ dollar_quoted(run_id) ~ ', ' ~ dollar_quoted(tojson(personal_names(kinds))) ~ ')::text')[0][0]) %}
        {% do run_query('rollback' if is_dry_run or 'refused' in done else 'commit') %}
        {% do print_answer(done) %}
    {% endif %}
{% endmacro %}

{% macro erasure_functions() %}
    {#- Functions of one session, after operator_session: nothing of them stays in the warehouse. -#}
    {{ erasure_lineage_functions() }}
    {{ erasure_key_functions() }}
    {{ erasure_text_functions() }}
    {{ erasure_change_functions() }}
    {{ erasure_search_functions() }}
    {{ erasure_transaction_functions() }}
{% endmacro %}
