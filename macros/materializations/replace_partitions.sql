{% macro replace_partitions(target_relation, temp_relation, spec, window) %}
    {#- Every partition that has rows in the result, and every one of the window, is replaced whole. -#}
    {% set children = partition_children(target_relation) %}
    {% set has_default = children | selectattr('is_default') | list | length > 0 or spec.default %}
    {% set changes = partition_column_changes(temp_relation, target_relation) %}
    {% set periods = [] %}
    {% for period in partition_periods(temp_relation, spec, children, window) if period.row_count or period.child %}
        {% do periods.append(period) %}
    {% endfor %}
    {% if check_rows_fit_partitions(temp_relation, periods, has_default and not window, spec) %}
        {% do periods.append({'suffix': 'default', 'bound': 'default', 'row_count': 0, 'child': none}) %}
    {% endif %}
    {% if window %}
        {% do _check_rows_are_in_window(temp_relation, spec, window) %}
    {% endif %}
    {% if periods %}
        {% set bounds = build_partitions_aside(target_relation, temp_relation, periods, changes, spec) %}
        {% set old = {} %}
        {% for period in periods %}
            {% for child in children if child.bound == bounds[partition_name(period.suffix, '__new')] %}
                {% do old.update({period.suffix: child}) %}
            {% endfor %}
            {% if period.child and period.suffix not in old %}
                {% do _partition_error(
                    period.child ~ ' has other bounds than ' ~ period.bound ~ '; only a partition of exactly these '
                    ~ 'can be replaced. Run with --full-refresh, or split it by hand') %}
            {% endif %}
        {% endfor %}
        {% do check_partition_names_are_free(periods | rejectattr('suffix', 'in', old.keys()) | list) %}
        {#- With the default partition, which ATTACH locks: whoever is at it has to be gone before. -#}
        {% set locked = [target_relation] %}
        {% for child in children if child.is_default or child in old.values() | list %}
            {% do locked.append(child.relation) %}
        {% endfor %}
        {% call statement('claim') %}{{ partition_claim_sql(locked, spec) }}{% endcall %}
        {% if config.get('unique_key') %}
            {% do _delete_moved_rows(target_relation, temp_relation, old.values() | map(attribute='relation') | list) %}
        {% endif %}
    {% endif %}
    {% do apply_grants(target_relation, config.get('grants'), should_revoke=True) %}
    {% do persist_docs(target_relation, model) %}
    {% if periods %}
        {#- A partition that something depends on stays, and takes the new rows. -#}
        {% set kept = attached_partitions(old.values() | list) %}
        {% set columns = changes.columns | map(attribute='quoted') | join(', ') %}
        {% call statement('swap') %}
            {{ partition_lock_sql(locked, spec) }}
            {% if changes.alter %}
                alter table {{ target_relation }} {{ changes.alter | join(', ') }};
            {% endif %}
            {% for child in old.values() if child.relation not in kept %}
                drop table {{ child.relation }};
            {% endfor %}
            {% for period in periods %}
                {% if period.suffix in old and old[period.suffix].relation in kept %}
                    {% set rebuilt = partition_relation(partition_name(period.suffix, '__new')) %}
                    delete from {{ old[period.suffix].relation }};
                    insert into {{ old[period.suffix].relation }} ({{ columns }}) select {{ columns }} from {{ rebuilt }};
                    drop table {{ rebuilt }};
                {% else %}
                    {{ partition_attach_sql(
                        target_relation, period,
                        old[period.suffix].name if period.suffix in old else partition_name(period.suffix)) }}
                {% endif %}
            {% endfor %}
        {% endcall %}
        {% if changes.alter %}
            {% do persist_docs(target_relation, model) %}
        {% endif %}
    {% endif %}
    {{ return(periods | length > 0) }}
{% endmacro %}

{% macro _check_rows_are_in_window(temp_relation, spec, window) %}
    {#- Rows beyond the window would replace partitions of which the query saw only a part. -#}
    {% set outside = run_query(
        'select count(*) from ' ~ temp_relation ~ ' where not ' ~ in_partition_window(adapter.quote(spec.column)))[0][0] %}
    {% if outside %}
        {% do _partition_error(
            outside ~ ' rows are outside the window from ' ~ window.from ~ ' until ' ~ window.until
            ~ "; filter the query by {{ in_partition_window('" ~ spec.column ~ "') }}") %}
    {% endif %}
{% endmacro %}

{% macro _delete_moved_rows(target_relation, temp_relation, replaced) %}
    {#- A row that came into a replaced partition from one that is not replaced is still there. -#}
    {% set unique_key = config.get('unique_key') %}
    {% set columns = ([unique_key] if unique_key is string else unique_key) | join(', ') %}
    {% call statement('delete_moved') %}
        delete from {{ target_relation }} as written
        where
            ({{ columns }}) in (select {{ columns }} from {{ temp_relation }})
            {%- for relation in replaced %}
            and written.tableoid <> '{{ relation }}'::regclass
            {%- endfor %}
    {% endcall %}
{% endmacro %}
