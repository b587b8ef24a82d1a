{% macro build_partitioned_table(target_relation, existing, temp_relation, spec) %}
    {#- First build and full refresh: the whole table aside, then one change of names. -#}
    {% set contract = config.get('contract') %}
    {% set aside = partition_relation(partition_name('aside')) %}
    {% set periods = partition_periods(temp_relation, spec, []) %}
    {% do check_rows_fit_partitions(temp_relation, periods, spec.default, spec) %}
    {% if spec.default %}
        {% do periods.append({'suffix': 'default', 'bound': 'default'}) %}
    {% endif %}
    {% call statement('create_aside') %}
        create table {{ aside }}
        {%- if contract and contract.enforced %}
            {{ get_table_columns_and_constraints() }}
        {%- else %}
            (like {{ temp_relation }})
        {%- endif %}
        partition by {{ spec.method }} ({{ adapter.quote(spec.column) }})
    {% endcall %}
    {% if periods %}
        {% do fill_partitions_aside(aside, temp_relation, periods, partition_columns(aside), spec) %}
    {% endif %}
    {% do create_indexes(aside) %}
    {% do run_query('analyze ' ~ aside) %}
    {% do apply_grants(aside, config.get('grants'), should_revoke=False) %}
    {% do persist_docs(aside, model) %}
    {% if existing is not none and existing.type != 'table' %}
        {% do adapter.drop_relation(existing) %}
    {% endif %}
    {% set replaced = [] %}
    {% if existing is not none and existing.type == 'table' %}
        {% do replaced.extend([target_relation] + partition_children(target_relation) | map(attribute='relation') | list) %}
        {% call statement('claim') %}{{ partition_claim_sql(replaced, spec) }}{% endcall %}
    {% endif %}
    {% call statement('swap') %}
        {% if replaced %}
            {{ partition_lock_sql(replaced, spec) }}
            drop table {{ target_relation }} cascade;
        {% endif %}
        alter table {{ aside }} rename to {{ adapter.quote(this.identifier) }};
        {% for period in periods %}
            alter table {{ partition_relation(partition_name(period.suffix, '__new')) }}
            rename to {{ adapter.quote(partition_name(period.suffix)) }};
        {% endfor %}
    {% endcall %}
    {% if replaced %}
        {#- Views on the old table went with it; dbt has to know that they are gone. -#}
        {% do adapter.cache_dropped(existing) %}
    {% endif %}
{% endmacro %}

{% macro check_rows_fit_partitions(temp_relation, periods, has_default, spec) %}
    {#- Without a default partition a row that fits none would fail the insert, with less to go by. -#}
    {% set row_count = run_query('select count(*) from ' ~ temp_relation)[0][0] | int %}
    {% set left_over = row_count - periods | sum(attribute='row_count') | int %}
    {% if left_over and not has_default %}
        {% do _partition_error(
            left_over ~ ' rows fit no partition: ' ~ spec.column ~ ' is null, infinite or not in the '
            ~ "ranges or groups of partition_by. Mend them, or set 'default': true to keep them apart") %}
    {% endif %}
    {{ return(left_over) }}
{% endmacro %}
