{% macro build_partitioned_table(target_relation, temp_relation, spec) %}
    {#- First build and full refresh: the whole table aside, then one change of names; or, if something hangs on
        the table, its rows in place. True if partitions were added to a table that stays. -#}
    {% set aside = partition_relation(partition_name('aside')) %}
    {% set kind = relation_kind(target_relation) %}
    {% do drop_leftover(aside) %}
    {% do _create_partitioned_aside(aside, temp_relation, spec) %}
    {% set hanging = attached_objects(target_relation, aside) if kind else [] %}
    {% set children = partition_children(target_relation) if kind == 'p' else [] %}
    {% if kind == 'p' and (hanging or attached_partitions(children)) %}
        {% do check_partitioned_relation(
            target_relation, spec, 'drop what hangs on it (' ~ hanging | join(', ') ~ '), and build again') %}
        {{ return(_rebuild_partitioned_in_place(target_relation, temp_relation, aside, spec)) }}
    {% endif %}
    {% set periods = partition_periods(temp_relation, spec, []) %}
    {% do check_rows_fit_partitions(temp_relation, periods, spec.default, spec) %}
    {% if spec.default %}
        {% do periods.append({'suffix': 'default', 'bound': 'default'}) %}
    {% endif %}
    {% if periods %}
        {% do fill_partitions_aside(aside, temp_relation, periods, partition_columns(aside), spec) %}
    {% endif %}
    {% do create_indexes(aside) %}
    {% do run_query('analyze ' ~ aside) %}
    {% do apply_grants(aside, config.get('grants'), should_revoke=False) %}
    {% do persist_docs(aside, model) %}
    {% set replaced = [] %}
    {% set views = [] %}
    {% if kind in ['r', 'p'] %}
        {% do replaced.extend([target_relation] + children | map(attribute='relation') | list) %}
        {% call statement('claim') %}{{ partition_claim_sql(replaced, spec) }}{% endcall %}
    {% elif kind %}
        {% do replaced.append(target_relation) %}
    {% endif %}
    {% if hanging %}
        {% set views = find_dependent_views(target_relation) %}
    {% endif %}
    {% if replaced %}
        {% call statement('lock') %}{{ partition_lock_sql(views + replaced, spec) }}{% endcall %}
    {% endif %}
    {% if hanging %}
        {% do take_down_dependent_views() %}
    {% endif %}
    {% call statement('swap') %}
        {% if kind %}
            {{ drop_kind_sql(kind, target_relation) }};
        {% endif %}
        alter table {{ aside }} rename to {{ adapter.quote(this.identifier) }};
        {% for period in periods %}
            alter table {{ partition_relation(partition_name(period.suffix, '__new')) }}
            rename to {{ adapter.quote(partition_name(period.suffix)) }};
        {% endfor %}
    {% endcall %}
    {% do note_change_of_kind(target_relation) %}
    {% if hanging %}
        {% do put_back_dependent_views(target_relation) %}
    {% endif %}
    {{ return(false) }}
{% endmacro %}

{% macro _create_partitioned_aside(aside, temp_relation, spec) %}
    {% set contract = config.get('contract') %}
    {% call statement('create_aside') %}
        create table {{ aside }}
        {%- if contract and contract.enforced %}
            {{ get_table_columns_and_constraints() }}
        {%- else %}
            (like {{ temp_relation }})
        {%- endif %}
        partition by {{ spec.method }} ({{ adapter.quote(spec.column) }})
    {% endcall %}
{% endmacro %}

{% macro _rebuild_partitioned_in_place(target_relation, temp_relation, aside, spec) %}
    {#- Only rows that differ are written, into the partitions that are there; they keep their bounds. -#}
    {% do drop_old_indexes(target_relation) %}
    {% set changes = alter_table_in_place(target_relation, aside) %}
    {% set has_new_partitions = change_partitioned_rows(target_relation, temp_relation, spec, 'differences') %}
    {% do finish_table_in_place(target_relation, aside, changes) %}
    {% do run_query('drop table ' ~ aside) %}
    {% set children = partition_children(target_relation) %}
    {% set kept = attached_partitions(children) %}
    {% set empty = [] %}
    {% for child in children if not child.is_default and child.relation not in kept
        and not run_query('select exists (select from ' ~ child.relation ~ ')')[0][0] %}
        {% do empty.append(child.relation) %}
    {% endfor %}
    {% if empty %}
        {% call statement('drop_empty') %}
            {{ partition_lock_sql([target_relation] + empty, spec) }}
            drop table {{ empty | join(', ') }}
        {% endcall %}
    {% endif %}
    {{ return(has_new_partitions) }}
{% endmacro %}

{% macro attached_partitions(children) %}
    {#- Those of the partitions that something depends on, a view of somebody for example, or that were given
        something by hand. -#}
    {% if not children %}
        {{ return([]) }}
    {% endif %}
    {% set oids = [] %}
    {% for child in children %}
        {% do oids.append("'" ~ child.relation ~ "'::regclass") %}
    {% endfor %}
    {% set found = run_query(
        "select distinct format('%I.%I', schemas.nspname, tables.relname) from (select dependencies.relation from ("
        ~ dependencies_sql(oids, ['n']) ~ ") as dependencies union all select pg_class.oid from pg_catalog.pg_class "
        ~ "cross join lateral (" ~ _given_by_hand_sql() ~ ") as given where pg_class.oid in (" ~ oids | join(', ')
        ~ ")) as kept inner join pg_catalog.pg_class as tables on kept.relation = tables.oid "
        ~ "inner join pg_catalog.pg_namespace as schemas on tables.relnamespace = schemas.oid") %}
    {{ return(found.columns[0].values() | list) }}
{% endmacro %}

{% macro check_rows_fit_partitions(temp_relation, periods, has_default, spec) %}
    {#- Without a default partition a row that fits none would fail the insert, with less to go by. -#}
    {% set row_count = run_query('select count(*) from ' ~ temp_relation)[0][0] | int %}
    {% set left_over = row_count - periods | sum(attribute='row_count') | int %}
    {% if left_over and not has_default %}
        {% do _partition_error(
            left_over ~ ' rows fit no partition: ' ~ spec.column ~ ' is null, infinite or not in the '
            ~ "ranges or groups of partition_by. Fix them, or set 'default': true to keep them apart") %}
    {% endif %}
    {{ return(left_over) }}
{% endmacro %}
