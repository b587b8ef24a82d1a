{#- A table that keeps its identity, as something hangs on it: only its rows and columns become those of a new
    build. Readers see the old rows or the new ones, and wait for nothing unless columns change. -#}

{% macro write_table_in_place(target_relation, aside) %}
    {% do drop_old_indexes(target_relation) %}
    {% set changes = alter_table_in_place(target_relation, aside) %}
    {% call statement('write_in_place') %}
        {{ relation_claim_sql([target_relation]) }}
        {{ write_differences_sql(target_relation, aside, changes.columns) }};
    {% endcall %}
    {% do finish_table_in_place(target_relation, aside, changes) %}
{% endmacro %}

{% macro alter_table_in_place(target_relation, like_relation) %}
    {#- Gives the table the columns of another. Views on columns that go or change their type are taken down; they
        come back with finish_table_in_place. Returns a dictionary: columns (those to be written), after (actions of
        ALTER TABLE for then) and has_taken_down. -#}
    {% set query %}
        select
            coalesce(old_columns.attname, new_columns.attname),
            old_columns.attname is not null,
            new_columns.attname is not null,
            format_type(new_columns.atttypid, new_columns.atttypmod)
            || coalesce(' collate ' || pg_collation.oid::regcollation, ''),
            (old_columns.atttypid, old_columns.atttypmod, old_columns.attcollation)
            is distinct from (new_columns.atttypid, new_columns.atttypmod, new_columns.attcollation),
            coalesce(old_columns.attnotnull, false),
            coalesce(new_columns.attnotnull, false),
            coalesce(new_columns.attgenerated, '') <> ''
        from (
            select * from pg_catalog.pg_attribute
            where attrelid = '{{ target_relation }}'::regclass and attnum > 0 and not attisdropped
        ) as old_columns
        full join (
            select * from pg_catalog.pg_attribute
            where attrelid = '{{ like_relation }}'::regclass and attnum > 0 and not attisdropped
        ) as new_columns
            on old_columns.attname = new_columns.attname
        left join pg_catalog.pg_collation
            on new_columns.attcollation = pg_collation.oid and pg_collation.collname <> 'default'
        order by new_columns.attnum, old_columns.attnum
    {% endset %}
    {% set columns = [] %}
    {% set changed = [] %}
    {% set before = [] %}
    {% set after = [] %}
    {% set is_retyped = [] %}
    {% for name, is_old, is_new, type, is_other_type, was_not_null, is_not_null, is_generated in run_query(query) %}
        {% set quoted = adapter.quote(name) %}
        {% if is_new and not is_generated %}
            {% do columns.append(quoted) %}
        {% endif %}
        {% if not is_new %}
            {% do changed.append(name) %}
            {% do before.append('drop column ' ~ quoted) %}
        {% elif not is_old %}
            {% do before.append('add column ' ~ quoted ~ ' ' ~ type) %}
        {% elif is_other_type %}
            {% do changed.append(name) %}
            {% do is_retyped.append(name) %}
            {% do before.append('alter column ' ~ quoted ~ ' drop not null, alter column ' ~ quoted
                ~ ' type ' ~ type ~ ' using null') %}
        {% elif was_not_null and not is_not_null %}
            {% do before.append('alter column ' ~ quoted ~ ' drop not null') %}
        {% endif %}
        {% if is_not_null and (not was_not_null or is_other_type) %}
            {% do after.append('alter column ' ~ quoted ~ ' set not null') %}
        {% endif %}
    {% endfor %}
    {% if before %}
        {% set views = find_dependent_views(target_relation, changed) if changed else [] %}
        {% call statement('lock') %}{{ relation_lock_sql(views + [target_relation | string]) }}{% endcall %}
        {% if changed %}
            {% do take_down_dependent_views() %}
        {% endif %}
        {% call statement('alter_in_place') %}
            {% if is_retyped %}
                {#- Every row is written anew, so that no old value has to be made one of the new type. -#}
                delete from {{ target_relation }};
            {% endif %}
            alter table {{ target_relation }} {{ before | join(', ') }}
        {% endcall %}
    {% endif %}
    {{ return({'columns': columns, 'after': after, 'has_taken_down': changed | length > 0}) }}
{% endmacro %}

{% macro write_differences_sql(target_relation, source_relation, columns) %}
    {#- The table gets exactly the rows of the other one, and those that it has already are not written. Rows are
        compared as they would be stored, in the form in which they are sent to a client in binary, which every
        type has and in which no two different values are the same; as often as they are there. -#}
    {% set types = {} %}
    {% for column in partition_columns(target_relation) %}
        {% do types.update({column.quoted: column.type}) %}
    {% endfor %}
    {% set images = [] %}
    {% for column in columns %}
        {% do images.append(column ~ '::' ~ types[column]) %}
    {% endfor %}
    {% set image = 'record_send(row(' ~ images | join(', ') ~ '))' %}
    create temporary table row_differences on commit drop as
    select old_rows.row_table, old_rows.row_place as old_place, new_rows.row_place as new_place
    from (
        select images.*, row_number() over (partition by images.image) as copy
        from (
            select tableoid as row_table, ctid as row_place, {{ image }} as image
            from {{ target_relation }}
        ) as images
    ) as old_rows
    full join (
        select images.*, row_number() over (partition by images.image) as copy
        from (
            select ctid as row_place, {{ image }} as image
            from {{ source_relation }}
        ) as images
    ) as new_rows
        on old_rows.image = new_rows.image and old_rows.copy = new_rows.copy
    where old_rows.row_place is null or new_rows.row_place is null;
    analyze pg_temp.row_differences;

    delete from {{ target_relation }} as old_rows
    using pg_temp.row_differences
    where old_rows.tableoid = row_differences.row_table and old_rows.ctid = row_differences.old_place;

    insert into {{ target_relation }} ({{ columns | join(', ') }})
    select {{ columns | join(', ') }} from {{ source_relation }}
    where ctid in (select new_place from pg_temp.row_differences where new_place is not null);

    drop table pg_temp.row_differences
{% endmacro %}

{% macro finish_table_in_place(target_relation, like_relation, changes) %}
    {#- What was put off until the rows are there: constraints, indexes, views. A constraint that somebody added by
        hand stays. -#}
    {% set missing = run_query(
        "select pg_get_constraintdef(new.oid) from pg_catalog.pg_constraint as new where new.conrelid = '"
        ~ like_relation ~ "'::regclass and new.contype in ('c', 'f', 'p', 'u', 'x') and not exists ("
        ~ "select from pg_catalog.pg_constraint as old where old.conrelid = '" ~ target_relation
        ~ "'::regclass and pg_get_constraintdef(old.oid) = pg_get_constraintdef(new.oid))").columns[0].values() %}
    {% set actions = changes.after[:] %}
    {% for definition in missing %}
        {% do actions.append('add ' ~ definition) %}
    {% endfor %}
    {% if actions %}
        {% call statement('lock') %}{{ relation_lock_sql([target_relation | string]) }}{% endcall %}
        {% call statement('finish_in_place') %}alter table {{ target_relation }} {{ actions | join(', ') }}{% endcall %}
    {% endif %}
    {% do create_missing_indexes(target_relation) %}
    {% if changes.has_taken_down %}
        {% do put_back_dependent_views(target_relation) %}
    {% endif %}
{% endmacro %}

{% macro drop_old_indexes(target_relation) %}
    {#- Those that dbt made, which have a hash for a name, and that the model's config no longer names: a unique one
        could refuse the new rows. Indexes made by hand stay. -#}
    {% set dropped = [] %}
    {% for index in _present_indexes(target_relation)
        if index.key not in _wanted_indexes() and modules.re.match('^[0-9a-f]{32}$', index.name) %}
        {% do dropped.append(index.name) %}
    {% endfor %}
    {% if dropped %}
        {% call statement('drop_old_indexes') %}
            {{ relation_lock_sql([target_relation | string]) }}
            {% for name in dropped %}
                drop index {{ adapter.quote(target_relation.schema) }}.{{ adapter.quote(name) }};
            {% endfor %}
        {% endcall %}
    {% endif %}
{% endmacro %}

{% macro create_missing_indexes(target_relation) %}
    {% set present = _present_indexes(target_relation) | map(attribute='key') | list %}
    {% for key, index in _wanted_indexes().items() if key not in present %}
        {% do run_query(get_create_index_sql(target_relation, index)) %}
    {% endfor %}
{% endmacro %}

{% macro _wanted_indexes() %}
    {% set wanted = {} %}
    {% for index in config.get('indexes') or [] %}
        {% do wanted.update({
            (index.type or 'btree', index.unique or false, index.columns | join(',')) | string: index}) %}
    {% endfor %}
    {{ return(wanted) }}
{% endmacro %}

{% macro _present_indexes(target_relation) %}
    {% set query %}
        select
            names.relname,
            access.amname,
            indexes.indisunique,
            array_to_string(
                array(
                    select columns.attname
                    from unnest(indexes.indkey::smallint[]) with ordinality as keys (attnum, position)
                    left join pg_catalog.pg_attribute as columns
                        on indexes.indrelid = columns.attrelid and keys.attnum = columns.attnum
                    order by keys.position
                ), ',', ''
            )
        from pg_catalog.pg_index as indexes
        inner join pg_catalog.pg_class as names on indexes.indexrelid = names.oid
        inner join pg_catalog.pg_am as access on names.relam = access.oid
        where indexes.indpred is null and indexes.indisvalid and indexes.indrelid = '{{ target_relation }}'::regclass
    {% endset %}
    {% set present = [] %}
    {% for row in run_query(query) %}
        {% do present.append({'name': row[0], 'key': (row[1], row[2], row[3]) | string}) %}
    {% endfor %}
    {{ return(present) }}
{% endmacro %}
