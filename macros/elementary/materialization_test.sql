{#- dbt takes built-in materializations only from the project itself. A test that fails or warns keeps its rows, and
    one that passes leaves none of an earlier day behind. Elementary's own version of this one wraps the same:
    it stores what its anomaly tests found. -#}
{% materialization test, default %}
    {% do run_query(hold_build()) %}
    {% if elementary is defined and elementary.materialize_test is defined %}
        {{ return(elementary.materialize_test(run_test)) }}
    {% else %}
        {{ return(run_test()) }}
    {% endif %}
{% endmaterialization %}

{% macro run_test() %}
    {#- Rows are stored only when there is something to store: most tests pass, and then cost one query. -#}
    {% set sql_header = (config.get('sql_header') if flags.REQUIRE_SQL_HEADER_IN_TEST_CONFIGS) or '' %}
    {% set failing_sql = get_limit_subquery_sql(sql, config.get('limit')) %}
    {% call statement('main', fetch_result=True) %}
        {{ sql_header }}
        {{ get_test_sql(
            failing_sql, config.get('fail_calc'), config.get('warn_if'), config.get('error_if'), limit=none) }}
    {% endcall %}
    {% set relations = [] %}
    {% if should_store_failures() and config.get('store_failures_as') != 'ephemeral' %}
        {% set target_relation = api.Relation.create(
            database=database, schema=schema, identifier=model.alias, type='table') %}
        {% set result = load_result('main').table[0] %}
        {% if result[1] or result[2] %}
            {% do _keep_failing_rows(target_relation, failing_sql, sql_header) %}
            {% do relations.append(target_relation) %}
        {% elif load_cached_relation(target_relation) is not none %}
            {% do _forget_failing_rows(target_relation) %}
        {% endif %}
        {% do adapter.commit() %}
    {% endif %}
    {{ return({'relations': relations}) }}
{% endmacro %}

{% macro _keep_failing_rows(target_relation, failing_sql, sql_header) %}
    {% set aside = aside_relation(target_relation) %}
    {% do drop_leftover(aside) %}
    {% set names = get_column_schema_from_query(failing_sql) | map(attribute='column') | list %}
    {% call statement('keep_failing_rows') %}
        {{ sql_header }}
        {# A table cannot have two columns of one name, which a query can. #}
        create table {{ aside }} as
        select {{ '*' if names | unique | list | length == names | length else 'row_to_json(failing_rows) as failing_row' }}
        from (
            {{ failing_sql }}
        ) as failing_rows
        limit {{ var('failing_rows_kept') }}
    {% endcall %}
    {% set kind = relation_kind(target_relation) %}
    {% if kind == 'r' and attached_objects(target_relation) %}
        {% do write_table_in_place(target_relation, aside) %}
        {% call statement('drop_aside') %}drop table {{ aside }}{% endcall %}
    {% else %}
        {% do put_in_place_of(target_relation, kind, aside) %}
    {% endif %}
{% endmacro %}

{% macro _forget_failing_rows(target_relation) %}
    {#- A view of somebody on them stays, and shows none. -#}
    {% set kind = relation_kind(target_relation) %}
    {% if kind == 'r' and attached_objects(target_relation) %}
        {% call statement('empty_failing_rows') %}delete from {{ target_relation }}{% endcall %}
    {% elif kind %}
        {% call statement('drop_failing_rows') %}
            {{ relation_lock_sql([target_relation | string]) }}
            {{ drop_kind_sql(kind, target_relation) }}
        {% endcall %}
        {% do adapter.cache_dropped(target_relation) %}
    {% endif %}
{% endmacro %}
