{% macro change_partitioned_rows(target_relation, temp_relation, spec, strategy) %}
    {#- Rows are written where they are. Readers wait for nothing and see all of it at the commit. -#}
    {% set children = partition_children(target_relation) %}
    {% set default = children | selectattr('is_default') | map(attribute='relation') | first %}
    {% set periods = partition_periods(temp_relation, spec, children) %}
    {% do check_rows_fit_partitions(temp_relation, periods, default or spec.default, spec) %}
    {#- With a default partition new rows go there first: to attach a partition locks the default one, so
        that is left to the end. -#}
    {% set missing = [] if default or spec.default else periods | rejectattr('child') | list %}
    {% if spec.default and not default %}
        {% do missing.append({'suffix': 'default', 'bound': 'default'}) %}
        {% set default = partition_relation(partition_name('default')) %}
    {% endif %}
    {% do check_partition_names_are_free(missing) %}
    {% call statement('attach') %}
        {% for period in missing %}
            create table {{ partition_relation(partition_name(period.suffix)) }}
            (like {{ target_relation }} including all excluding identity excluding comments);
            alter table {{ target_relation }}
            attach partition {{ partition_relation(partition_name(period.suffix)) }} {{ period.bound }};
        {% endfor %}
        analyze {{ temp_relation }};
    {% endcall %}
    {% set changes = partition_column_changes(temp_relation, target_relation) %}
    {% if changes.alter %}
        {% call statement('alter') %}
            {{ partition_lock_sql([target_relation] + partition_children(target_relation) | map(attribute='relation') | list, spec) }}
            alter table {{ target_relation }} {{ changes.alter | join(', ') }};
        {% endcall %}
    {% endif %}
    {% set names = changes.columns | map(attribute='name') | list %}
    {% set arguments = {
        'target_relation': target_relation,
        'temp_relation': temp_relation,
        'unique_key': config.get('unique_key'),
        'dest_columns': adapter.get_columns_in_relation(target_relation) | selectattr('name', 'in', names) | list,
        'incremental_predicates': config.get('predicates') or config.get('incremental_predicates'),
    } %}
    {% set own = {'merge': partition_merge_sql, 'differences': partition_differences_sql} %}
    {% set strategy_macro = own[strategy] if strategy in own
        else adapter.get_incremental_strategy_macro(context, strategy) %}
    {% if strategy != 'touched_keys' %}
        {#- That one looks at the rows that it writes, not at all that were computed. -#}
        {% do check_nothing_is_lost(temp_relation, target_relation) %}
    {% endif %}
    {% call statement('write') %}{{ strategy_macro(arguments) }}{% endcall %}
    {% if default %}
        {% do split_default_partition(target_relation, default, spec) %}
    {% endif %}
    {% for period in missing %}
        {% do run_query('analyze ' ~ partition_relation(partition_name(period.suffix))) %}
    {% endfor %}
    {% do apply_grants(target_relation, config.get('grants'), should_revoke=True) %}
    {% do persist_docs(target_relation, model) %}
    {{ return(missing | length > 0) }}
{% endmacro %}

{% macro partition_differences_sql(arguments) %}
    {#- All rows of the model, for a full refresh of a table that has to stay. -#}
    {{ write_differences_sql(
        arguments.target_relation, arguments.temp_relation,
        arguments.dest_columns | map(attribute='quoted') | list) }}
{% endmacro %}

{% macro partition_merge_sql(arguments) %}
    {#- By MERGE, which lets a row move to another partition. Rows that are the same already are not
        written; compared as stored, so that types without equality (json) can be compared too. -#}
    {% set unique_key = arguments.unique_key %}
    {% set keys = [unique_key] if unique_key is string else unique_key %}
    {% set columns = arguments.dest_columns %}
    {% set updated = get_merge_update_columns(
        config.get('merge_update_columns'), config.get('merge_exclude_columns'), columns) %}
    {% set types = {} %}
    {% for column in partition_columns(arguments.target_relation) %}
        {% do types.update({column.name: column.type, column.quoted: column.type}) %}
    {% endfor %}
    {% set conditions = arguments.incremental_predicates or [] %}
    {#- Fails, naming the key, when the query gives a key twice. -#}
    create unique index on {{ arguments.temp_relation }} ({{ keys | join(', ') }});
    merge into {{ arguments.target_relation }} as dbt_internal_dest
    using {{ arguments.temp_relation }} as dbt_internal_source
        on
            {%- for key in keys %}
            {{ 'and ' if not loop.first }}dbt_internal_source.{{ key }} = dbt_internal_dest.{{ key }}
            {%- endfor %}
            {%- for condition in conditions %}
            and ({{ condition }})
            {%- endfor %}
    when matched and
        row({% for column in updated %}dbt_internal_dest.{{ column }}{{ ', ' if not loop.last }}{% endfor %})::record
        *<> row(
            {%- for column in updated %}
            dbt_internal_source.{{ column }}::{{ types[column] }}{{ ',' if not loop.last }}
            {%- endfor %}
        )::record
    then update set
        {%- for column in updated %}
        {{ column }} = dbt_internal_source.{{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    when not matched then insert ({{ columns | map(attribute='quoted') | join(', ') }})
    values (
        {%- for column in columns %}
        dbt_internal_source.{{ column.quoted }}{{ ',' if not loop.last }}
        {%- endfor %}
    )
{% endmacro %}

{% macro split_default_partition(target_relation, default, spec) %}
    {#- Rows of the default partition that a partition of their own could hold get one. -#}
    {% set periods = partition_periods(default, spec, []) %}
    {% if periods %}
        {% set columns = partition_columns(target_relation) %}
        {% set condition = partition_fits_sql(spec, partition_key_type(default, spec)) %}
        {% do check_partition_names_are_free(periods) %}
        {% do build_partitions_aside(
            target_relation, '(select * from ' ~ default ~ ' where ' ~ condition ~ ') as fitting', periods,
            {'alter': [], 'columns': columns}, spec) %}
        {% do run_query('delete from ' ~ default ~ ' where ' ~ condition) %}
        {% call statement('split') %}
            {{ partition_claim_sql([default], spec) }}
            {{ partition_lock_sql([target_relation, default], spec) }}
            {% for period in periods %}
                {{ partition_attach_sql(target_relation, period, partition_name(period.suffix)) }}
            {% endfor %}
        {% endcall %}
    {% endif %}
{% endmacro %}
