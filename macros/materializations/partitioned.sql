{% materialization partitioned, adapter='postgres' %}
    {#- A table that PostgreSQL partitions, from a plain model; docs/partitioned.md says how a build goes.
        A build is one transaction: one that is killed leaves nothing behind. -#}
    {% set spec = partition_spec() %}
    {% set window = partition_window() %}
    {% set strategy = config.get('incremental_strategy') or 'merge' %}
    {% set existing = load_cached_relation(this) %}
    {% set target_relation = this.incorporate(type='table') %}
    {% set temp_relation = make_temp_relation(target_relation) %}
    {% set is_full = should_full_refresh() or existing is none or existing.type != 'table' %}
    {% if strategy == 'microbatch' %}
        {% do _partition_error(
            "incremental_strategy 'microbatch' is for incremental models; a partitioned one is rebuilt in "
            ~ 'windows by --event-time-start and --event-time-end whatever its strategy') %}
    {% elif strategy == 'merge' and not config.get('unique_key') %}
        {% do _partition_error("incremental_strategy 'merge' needs a unique_key") %}
    {% elif window and is_full and existing is not none %}
        {% do _partition_error('a full refresh builds everything, a window a part of it; leave out one of them') %}
    {% endif %}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% do check_can_be_written(target_relation) %}
    {% if not is_full %}
        {% do check_partitioned_relation(target_relation, spec) %}
        {% call statement('claim') %}{{ partition_claim_sql([target_relation], spec) }}{% endcall %}
    {% endif %}
    {% call statement('main') %}{{ _partition_rows_sql(temp_relation, sql) }}{% endcall %}
    {% set key_type = partition_key_type(temp_relation, spec) %}
    {% set cut = partition_cut(key_type, spec) %}
    {% if cut %}
        {#- A late row would bring back a partition that retention took away. -#}
        {% do run_query('delete from ' ~ temp_relation ~ ' where ' ~ adapter.quote(spec.column) ~ " < '" ~ cut ~ "'") %}
    {% endif %}

    {% if is_full %}
        {% set has_new_partitions = build_partitioned_table(target_relation, temp_relation, spec) %}
    {% elif window or strategy == 'replace_partitions' %}
        {#- With --empty a window has no rows because none were read. -#}
        {% set has_new_partitions = replace_partitions(
            target_relation, temp_relation, spec, none if flags.EMPTY else window) %}
    {% else %}
        {% set has_new_partitions = change_partitioned_rows(target_relation, temp_relation, spec, strategy) %}
    {% endif %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% if has_new_partitions %}
        {#- A reader that looked up the partitions before the commit and reads after it would miss rows that
            moved to a new one. There is no such reader while the table is locked. -#}
        {% call statement('fence') %}{{ partition_lock_sql([target_relation], spec) }}{% endcall %}
    {% endif %}
    {% do adapter.commit() %}

    {% if cut %}
        {% do retire_partitions(target_relation, cut, key_type, spec) %}
    {% endif %}
    {% if has_new_partitions and _server_version() >= 180000 %}
        {#- Autovacuum never looks at the table above the partitions. Before 18 there is no way to analyse it
            alone. -#}
        {% call statement('analyze') %}analyze only {{ target_relation }}{% endcall %}
        {% do adapter.commit() %}
    {% endif %}
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
    )
{% endmacro %}

{% macro _server_version() %}
    {{ return(run_query("select current_setting('server_version_num')::integer")[0][0] | int) }}
{% endmacro %}
