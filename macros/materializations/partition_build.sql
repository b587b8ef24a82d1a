{#- Building aside: on tables that no one else can see before the commit. -#}

{% macro fill_partitions_aside(aside, source, periods, columns, spec) %}
    {#- Makes the partitions and loads them in one pass, without indexes. Each gets a CHECK that says the
        same as its partition constraint, while it is empty: attaching it later needs no scan. -#}
    {% set quoted = columns | map(attribute='quoted') | join(', ') %}
    {% set types = {} %}
    {% for column in partition_columns(aside) %}
        {% do types.update({column.name: column.type}) %}
    {% endfor %}
    {% call statement('create_partitions') %}
        {% for period in periods %}
            drop table if exists {{ partition_relation(partition_name(period.suffix, '__new')) }};
            create table {{ partition_relation(partition_name(period.suffix, '__new')) }}
            partition of {{ aside }} {{ period.bound }};
        {% endfor %}
    {% endcall %}
    {% for child in partition_children(aside) if not child.is_default %}
        {% do run_query(
            'alter table ' ~ child.relation ~ ' add constraint partition_bound check (' ~ child.holds ~ ')') %}
    {% endfor %}
    {% call statement('fill_partitions') %}
        insert into {{ aside }} ({{ quoted }})
        select
            {%- for column in columns %}
            {{ lossless('filled.' ~ column.quoted, types.get(column.name, column.type), column.name) }}{{ ',' if not loop.last }}
            {%- endfor %}
        from (select * from {{ source }}) as filled
    {% endcall %}
{% endmacro %}

{% macro partition_index_statements(relation, like_relation) %}
    {#- The indexes and keys that one table has, as statements for another. PostgreSQL takes those of a
        partition for those of its table only if they are the same, constraint for constraint. -#}
    {% set query %}
        select
            case
                when constraints.oid is null then
                    format('create %sindex on %s using ', case when indexes.indisunique then 'unique ' end, '{{ relation }}')
                    || substr(
                        pg_get_indexdef(indexes.indexrelid),
                        length(format(
                            'CREATE %sINDEX %I ON ONLY %I.%I USING ',
                            case when indexes.indisunique then 'UNIQUE ' end,
                            index_names.relname, schemas.nspname, tables.relname
                        )) + 1
                    )
                else
                    format('alter table %s add %s', '{{ relation }}', pg_get_constraintdef(constraints.oid))
            end
        from pg_catalog.pg_index as indexes
        inner join pg_catalog.pg_class as index_names on indexes.indexrelid = index_names.oid
        inner join pg_catalog.pg_class as tables on indexes.indrelid = tables.oid
        inner join pg_catalog.pg_namespace as schemas on tables.relnamespace = schemas.oid
        left join pg_catalog.pg_constraint as constraints
            on indexes.indexrelid = constraints.conindid and constraints.contype in ('p', 'u', 'x')
        where
            indexes.indrelid = '{{ like_relation }}'::regclass
            and not exists (
                select 1
                from pg_catalog.pg_attribute as old_columns
                left join pg_catalog.pg_attribute as new_columns
                    on new_columns.attrelid = '{{ relation }}'::regclass and old_columns.attname = new_columns.attname
                where
                    old_columns.attrelid = indexes.indrelid
                    and old_columns.attnum = any(indexes.indkey::smallint[])
                    and new_columns.attnum is null
            )
        union all
        select format('alter table %s add %s', '{{ relation }}', pg_get_constraintdef(constraints.oid))
        from pg_catalog.pg_constraint as constraints
        where
            constraints.conrelid = '{{ like_relation }}'::regclass
            and constraints.contype = 'f'
            and constraints.conparentid = 0
    {% endset %}
    {{ return(run_query(query).columns[0].values()) }}
{% endmacro %}

{% macro build_partitions_aside(target_relation, source, periods, changes, spec) %}
    {#- Partitions for a table that exists: as it is after the changes, filled, indexed and analysed,
        then let go as plain tables that only wait to be attached. Returns the bounds as PostgreSQL
        writes them, by the name of the new table. -#}
    {% set aside = partition_relation(partition_name('aside')) %}
    {% do drop_leftover(aside) %}
    {% call statement('create_aside') %}
        create table {{ aside }}
        (like {{ target_relation }} including all excluding indexes excluding identity excluding comments)
        partition by {{ spec.method }} ({{ adapter.quote(spec.column) }});
        {% if changes.alter %}
            alter table {{ aside }} {{ changes.alter | join(', ') }};
        {% endif %}
    {% endcall %}
    {% do fill_partitions_aside(aside, source, periods, changes.columns, spec) %}
    {% for index in partition_index_statements(aside, target_relation) %}
        {% do run_query(index) %}
    {% endfor %}
    {% do run_query('analyze ' ~ aside) %}
    {% set bounds = {} %}
    {% for child in partition_children(aside) %}
        {% do bounds.update({child.name: child.bound}) %}
        {% do run_query('alter table ' ~ aside ~ ' detach partition ' ~ child.relation) %}
    {% endfor %}
    {% do run_query('drop table ' ~ aside) %}
    {{ return(bounds) }}
{% endmacro %}

{% macro partition_attach_sql(target_relation, period, name) %}
    {#- The new table of a period takes its name and its place. -#}
    alter table {{ partition_relation(partition_name(period.suffix, '__new')) }}
    rename to {{ adapter.quote(name) }};
    alter table {{ target_relation }}
    attach partition {{ partition_relation(name) }} {{ period.bound }};
{% endmacro %}

{% macro check_partition_names_are_free(periods) %}
    {% for period in periods %}
        {% set relation = partition_relation(partition_name(period.suffix)) %}
        {% if run_query("select to_regclass('" ~ relation ~ "') is not null")[0][0] %}
            {% set bound = run_query(
                "select pg_get_expr(pg_class.relpartbound, pg_class.oid) from pg_catalog.pg_inherits "
                ~ "inner join pg_catalog.pg_class on pg_inherits.inhrelid = pg_class.oid where pg_class.oid = '" ~ relation
                ~ "'::regclass and pg_inherits.inhparent = to_regclass('" ~ this ~ "')") %}
            {% do _partition_error(
                relation ~ ' is the partition ' ~ bound[0][0] ~ ', and its name is that of rows ' ~ period.bound
                ~ '; rename it, then run again' if bound.rows
                else relation ~ ' exists and is no partition of the model; move it or drop it, then run again') %}
        {% endif %}
    {% endfor %}
{% endmacro %}
