{% materialization partitioned, adapter='postgres' %}
    {#- A table partitioned by PostgreSQL, from a plain model. docs/partitioned.md says how a build goes.
        All of a build is one transaction: a build that is killed leaves nothing behind. -#}
    {% set spec = partition_spec() %}
    {% set window = partition_window() %}
    {% set existing = load_cached_relation(this) %}
    {% set target_relation = this.incorporate(type='table') %}
    {% set temp_relation = make_temp_relation(target_relation) %}
    {% set is_full = should_full_refresh() or existing is none or existing.type != 'table' %}
    {% set strategy = config.get('incremental_strategy') or 'merge' %}
    {% if window and should_full_refresh() and existing is not none %}
        {% do _partition_error('--full-refresh builds everything anew, a window only part of it; leave out one') %}
    {% endif %}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% if not is_full %}
        {% do check_partitioned_relation(target_relation, spec) %}
        {% call statement('claim') %}{{ partition_claim_sql([target_relation], spec) }}{% endcall %}
    {% endif %}

    {% call statement('main') %}{{ _partition_rows_sql(temp_relation, sql) }}{% endcall %}

    {% if is_full %}
        {% do build_partitioned_table(target_relation, existing, temp_relation, spec, window) %}
    {% else %}
        {% do change_partitioned_rows(target_relation, temp_relation, spec, strategy) %}
    {% endif %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do adapter.commit() %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{% macro _partition_rows_sql(temp_relation, sql) %}
    {% set contract = config.get('contract') %}
    {{ config.get('sql_header', '') or '' }}
    {% if contract and contract.enforced %}
        {{ get_assert_columns_equivalent(sql) }}
    {% endif %}
    create temporary table {{ temp_relation }} on commit drop as (
        {{ sql }}
    );
{% endmacro %}

{% macro build_partitioned_table(target_relation, existing, temp_relation, spec, window) %}
    {#- First build and full refresh: the whole table aside, then one change of names. -#}
    {% set aside = partition_relation(partition_name('aside')) %}
    {% do create_partitioned_aside(aside, temp_relation, spec) %}
    {% set periods = partition_periods(temp_relation, spec, []) %}
    {% if spec.default %}
        {% do periods.append({'suffix': 'default', 'bound': 'default', 'row_count': 0}) %}
    {% endif %}
    {% do check_rows_have_partitions(temp_relation, periods, spec) %}
    {% do fill_partitions_aside(aside, temp_relation, periods, '__new') %}
    {% do create_indexes(aside) %}
    {% do run_query('analyze ' ~ aside) %}
    {% do apply_grants(aside, config.get('grants'), should_revoke=False) %}
    {% do persist_docs(aside, model) %}
    {% if existing is not none and existing.type != 'table' %}
        {% do adapter.drop_relation(existing) %}
    {% endif %}
    {% call statement('swap') %}
        {% if existing is not none and existing.type == 'table' %}
            {{ partition_lock_sql([target_relation], spec) }}
            drop table {{ target_relation }} cascade;
        {% endif %}
        alter table {{ aside }} rename to {{ adapter.quote(this.identifier) }};
        {% for period in periods %}
            alter table {{ partition_relation(partition_name(period.suffix, '__new')) }}
            rename to {{ adapter.quote(partition_name(period.suffix)) }};
        {% endfor %}
    {% endcall %}
{% endmacro %}

{% macro check_rows_have_partitions(temp_relation, periods, spec) %}
    {#- Without a default partition a row that fits none would fail the insert, with less to go by. -#}
    {% set row_count = run_query('select count(*) from ' ~ temp_relation)[0][0] | int %}
    {% set left_over = row_count - periods | sum(attribute='row_count') | int %}
    {% if left_over and not spec.default %}
        {% do _partition_error(
            left_over ~ ' rows fit no partition: ' ~ spec.column ~ ' is null, infinite or not in the '
            ~ "ranges or groups of partition_by. Mend them, or set 'default': true to keep them apart") %}
    {% endif %}
{% endmacro %}

{% macro change_partitioned_rows(target_relation, temp_relation, spec, strategy) %}
    {#- Rows are written where they are; readers wait for nothing and see all of it at the commit. -#}
    {% set children = partition_children(target_relation) %}
    {% set periods = partition_periods(temp_relation, spec, children) %}
    {% do check_rows_have_partitions(temp_relation, periods, spec) %}
    {% set missing = periods | rejectattr('child') | list %}
    {% if missing %}
        {% call statement('attach') %}
            {% for period in missing %}
                {{ create_partition_aside(partition_name(period.suffix), target_relation) }}
                alter table {{ target_relation }}
                attach partition {{ partition_relation(partition_name(period.suffix)) }} {{ period.bound }};
            {% endfor %}
        {% endcall %}
    {% endif %}
    {% do run_query('analyze ' ~ temp_relation) %}
    {% set columns = adapter.get_columns_in_relation(target_relation) %}
    {% set strategy_sql = adapter.get_incremental_strategy_macro(context, strategy) %}
    {% call statement('write') %}
        {{ strategy_sql({
            'target_relation': target_relation, 'temp_relation': temp_relation,
            'unique_key': config.get('unique_key'), 'dest_columns': columns,
            'incremental_predicates': config.get('incremental_predicates'),
        }) }}
    {% endcall %}
    {% do apply_grants(target_relation, config.get('grants'), should_revoke=True) %}
    {% do persist_docs(target_relation, model) %}
{% endmacro %}
