{% macro get_incremental_touched_keys_sql(arg_dict) %}
    {#- Every touched key is looked at, also those that give no row any more: a deleted order has to
        leave the fact. dbt's own delete+insert deletes only the keys it inserts again. Of the rows
        of these keys only those are written that differ. -#}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='quoted') | join(', ') -%}
    {%- set unique_key = unique_key_columns() | join(', ') -%}
    {% do create_unique_index(arg_dict['target_relation']) %}
    {{ collect_changed_rows(arg_dict['target_relation'], arg_dict['temp_relation'], arg_dict['dest_columns']) }}

    delete from {{ arg_dict['target_relation'] }}
    where ({{ unique_key }}) in (
        select {{ unique_key }} from pg_temp.changed_rows as changed_rows where not changed_rows._is_new
    );

    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from pg_temp.changed_rows as changed_rows where changed_rows._is_new
{% endmacro %}

{% macro collect_changed_rows(target_relation, computed_relation, dest_columns) %}
    {#- The temporary table changed_rows: the rows of the touched keys that are no longer as they
        were (not _is_new), and as they are now (_is_new). Rows are compared as they would be
        stored, hence the copy, and by `*<>`, which knows every type. A model may compute rows of
        other keys, too, if an import is not filtered by is_touched: perhaps not whole, so they go. -#}
    {%- set columns = dest_columns | map(attribute='quoted') | join(', ') -%}
    {%- set unique_key = unique_key_columns() -%}
    {%- set condition = _is_written(target_relation, computed_relation) -%}
    {% do check_touched_key_is_there(dest_columns) %}
    {% do check_key_is_whole(computed_relation) %}
    {% do check_keys_are_unique(computed_relation, condition) %}
    {% if not model.contract.enforced %}
        {% do widen_columns(partition_columns(computed_relation), target_relation) %}
    {% endif %}
    {% do check_nothing_is_lost(computed_relation, target_relation, condition) %}
    create temporary table computed_rows (like {{ target_relation }}) on commit drop;
    insert into pg_temp.computed_rows ({{ columns }})
    select {{ columns }} from {{ computed_relation }} as key_rows where {{ condition }};
    analyze pg_temp.computed_rows;

    create temporary table changed_rows on commit drop as
    with
    rows_before as (
        select {{ columns }} from {{ target_relation }}
        where ({{ touched_key_columns() | join(', ') }}) in (
            select touched.{{ _touched_key_names() | join(', touched.') }} from {{ touched_keys() }} as touched
        )
    ),
    rows_after as (
        select {{ columns }} from pg_temp.computed_rows
    ),
    changed_keys as (
        select distinct
            {%- for column in unique_key %}
            coalesce(rows_before.{{ column }}, rows_after.{{ column }}) as {{ column }}{{ ',' if not loop.last }}
            {%- endfor %}
        from (select *, true as _is_there from rows_before) as rows_before
        full join (select *, true as _is_there from rows_after) as rows_after
            on
            {%- for column in unique_key %}
                rows_before.{{ column }} = rows_after.{{ column }}{{ ' and' if not loop.last }}
            {%- endfor %}
        where
            rows_before._is_there is null
            or rows_after._is_there is null
            or row(rows_before.{{ dest_columns | map(attribute='quoted') | join(', rows_before.') }})::record
            *<> row(rows_after.{{ dest_columns | map(attribute='quoted') | join(', rows_after.') }})::record
    )
    select false as _is_new, rows_before.*
    from rows_before
    inner join changed_keys using ({{ unique_key | join(', ') }})
    union all
    select true as _is_new, rows_after.*
    from rows_after
    inner join changed_keys using ({{ unique_key | join(', ') }});
    analyze pg_temp.changed_rows;
{% endmacro %}

{% macro _is_written(target_relation, computed_relation) -%}
    {#- Condition on the computed rows, called key_rows: of a touched key, or of a new value of an input that adds values. -#}
    (
        ({% for column in touched_key_columns() %}key_rows.{{ column }}{{ ', ' if not loop.last }}{% endfor %}) in (
            select touched.{{ _touched_key_names() | join(', touched.') }} from {{ touched_keys() }} as touched
        )
        {%- for rule in touched_by() if rule.kind == 'new' %}
        or key_rows.{{ rule.new }} in (
            select candidates.{{ rule.new }}
            from (select distinct {{ rule.new }} from {{ computed_relation }}) as candidates
            where not exists (
                select from {{ target_relation }} as rows_there where rows_there.{{ rule.new }} = candidates.{{ rule.new }}
            )
        )
        {%- endfor %}
    )
{%- endmacro %}

{% macro check_touched_key_is_there(dest_columns) %}
    {% set missing = (unique_key_columns() + touched_key_columns())
        | reject('in', dest_columns | map(attribute='name') | list) | unique | list %}
    {% if missing %}
        {% do _touched_by_error(
            'the columns of unique_key and touched_key have to be columns of the model; it has no ' ~ missing | join(', ')) %}
    {% endif %}
{% endmacro %}
