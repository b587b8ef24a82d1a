{#- Views on a relation that has to change beneath them: taken down and made again as they were, in the
    transaction of the change. Nothing is changed before it is sure that each of them can come back. -#}

{% macro find_dependent_views(relation, column_names=none) %}
    {#- Notes in pg_temp.dependent_views what reads the relation (or the named columns of it), directly or through
        other views, with the statements that make it again. Raises a compiler error if something cannot be
        made again. Returns the views' names, those that others read last. -#}
    {% call statement('find_dependent_views') %}{{ _dependent_views_sql(relation, column_names) }}{% endcall %}
    {% set problems = run_query(
        "select name, problem from pg_temp.dependent_views where problem is not null order by depth, name") %}
    {% if problems.rows %}
        {% set listed = [] %}
        {% for row in problems %}
            {% do listed.append(row[0] ~ ' (' ~ row[1] ~ ')') %}
        {% endfor %}
        {% do exceptions.raise_compiler_error(
            model.name ~ ': ' ~ relation.schema ~ '.' ~ relation.identifier ~ ' changes '
            ~ ('its column ' ~ column_names | join(', ') if column_names else 'its columns or its kind')
            ~ ', and what reads it cannot be made again: ' ~ listed | join('; ')
            ~ '. Nothing was changed. Drop that, build, and make it again') %}
    {% endif %}
    {{ return(run_query(
        "select name from pg_temp.dependent_views where depth > 0 order by depth desc, name").columns[0].values() | list) }}
{% endmacro %}

{% macro take_down_dependent_views() %}
    {% call statement('take_down_dependent_views') %}
        do $take_down$
        declare
            found record;
        begin
            for found in
                select name, relkind from pg_temp.dependent_views where depth > 0 order by depth desc, name
            loop
                execute format(
                    'drop %s %s', case found.relkind when 'm' then 'materialized view' else 'view' end, found.name
                );
            end loop;
        end
        $take_down$
    {% endcall %}
{% endmacro %}

{% macro put_back_dependent_views(relation) %}
    {#- A view of ours that this run makes anyway may be left to it, if the old one cannot be made on the new
        columns. Tells dbt's cache what is there again. -#}
    {% call statement('put_back_dependent_views') %}
        do $put_back$
        declare
            found record;
            statement text;
        begin
            for found in select * from pg_temp.dependent_views order by depth, name loop
                begin
                    foreach statement in array found.ddl loop
                        execute statement;
                    end loop;
                exception when others then
                    if not found.is_made_again then
                        raise exception using
                            errcode = sqlstate,
                            message = format(
                                '%s reads %s and cannot be made again on what that is now: %s. Nothing was changed. '
                                'Change or drop it, and build again',
                                found.name, '{{ relation | string | replace("'", "''") }}', sqlerrm
                            );
                    end if;
                end;
            end loop;
        end
        $put_back$
    {% endcall %}
{% endmacro %}

{% macro _dependent_views_sql(relation, column_names) %}
    {% set made_again = [] %}
    {% for node_id in selected_resources if node_id in graph.nodes and node_id != model.unique_id %}
        {% set node = graph.nodes[node_id] %}
        {% do made_again.append(node.schema ~ '.' ~ node.alias) %}
    {% endfor %}
    drop table if exists pg_temp.dependent_views;
    create temporary table dependent_views on commit drop as
    with recursive
    reads as (
        select distinct
            pg_rewrite.ev_class as reader, pg_depend.refobjid as readee, pg_depend.refobjsubid as attnum
        from pg_catalog.pg_depend
        inner join pg_catalog.pg_rewrite on pg_depend.objid = pg_rewrite.oid
        where
            pg_depend.classid = 'pg_rewrite'::regclass
            and pg_depend.refclassid = 'pg_class'::regclass
            and pg_depend.refobjid <> pg_rewrite.ev_class
    ),
    found (oid, depth) as (
        select reads.reader, 1
        from reads
        where
            reads.readee = '{{ relation }}'::regclass
            {%- if column_names %}
            and reads.attnum in (
                select pg_attribute.attnum
                from pg_catalog.pg_attribute
                where
                    pg_attribute.attrelid = '{{ relation }}'::regclass
                    and pg_attribute.attname in ('{{ column_names | join("', '") }}')
            )
            {%- endif %}
        union
        select reads.reader, found.depth + 1
        from found
        inner join reads on found.oid = reads.readee
        where found.depth < 100 -- views can be made to read each other; nobody can read such a view
    ),
    deepest as (
        select found.oid, max(found.depth) as depth
        from found
        group by found.oid
    ),
    others as (
        select dependencies.relation, string_agg(distinct dependencies.what, ', ') as what
        from (
            {{ dependencies_sql(['select deepest.oid from deepest'], ['n']) }}
            {%- if not column_names %}
            union all
            {{ dependencies_sql(["'" ~ relation ~ "'::regclass"]) }}
            {%- endif %}
        ) as dependencies
        where dependencies.view is null or dependencies.view not in (select deepest.oid from deepest)
        group by dependencies.relation
    )
    select
        deepest.depth,
        deepest.oid::regclass::text as name,
        pg_class.relkind,
        {{ _view_ddl_sql() }} as ddl,
        pg_namespace.nspname || '.' || pg_class.relname
        in ('{{ made_again | join("', '") }}') as is_made_again,
        case
            when pg_class.relkind not in ('v', 'm') then 'it is a table with a rule'
            when not pg_has_role(pg_class.relowner, 'member')
                then 'it belongs to ' || pg_class.relowner::regrole || ', for whom ' || current_user || ' may not act'
            when not has_schema_privilege(pg_class.relnamespace, 'create')
                then current_user || ' may create nothing in its schema'
            when others.what is not null then 'read by ' || others.what
        end as problem
    from deepest
    inner join pg_catalog.pg_class on deepest.oid = pg_class.oid
    inner join pg_catalog.pg_namespace on pg_class.relnamespace = pg_namespace.oid
    left join others on deepest.oid = others.relation
    union all
    select 0, others.what, null, null, false, 'made for the relation as it is'
    from others
    where others.relation = '{{ relation }}'::regclass
    {%- if not column_names %}
    union all
    -- What somebody gave by hand to the relation itself, which is made anew; a column of it may be gone.
    select
        0,
        pg_class.oid::regclass::text,
        null,
        array[given.statement],
        given.may_be_left,
        null
    from pg_catalog.pg_class
    cross join lateral (
        select
            {{ _grant_ddl_sql() }} as statement,
            true as may_be_left
        from {{ _granted_sql() }} as granted
        where granted.grantee = 0 or granted.grantee::regrole::text not in ('{{ granted_roles() | join("', '") }}')
        union all
        select
            format(
                'comment on %s is %L',
                case
                    when comments.attname is not null
                        then format('column %s.%I', pg_class.oid::regclass, comments.attname)
                    else '{{ 'view' if model.config.materialized == 'view' else 'table' }} ' || pg_class.oid::regclass
                end,
                comments.description
            ),
            true
        from {{ _comments_by_hand_sql() }} as comments
        union all
        select format('alter table %s owner to %s', pg_class.oid::regclass, pg_class.relowner::regrole), false
        where pg_class.relowner <> current_user::regrole
    ) as given
    where pg_class.oid = '{{ relation }}'::regclass
    {%- endif %}
{% endmacro %}

{% macro _granted_sql() -%}
    {#- Who was given what on pg_class's relation, or on a column of it. -#}
    (
        select null::name as attname, acl.*
        from aclexplode(pg_class.relacl) as acl
        where acl.grantee <> pg_class.relowner
        union all
        select pg_attribute.attname, acl.*
        from pg_catalog.pg_attribute
        cross join lateral aclexplode(pg_attribute.attacl) as acl
        where pg_attribute.attrelid = pg_class.oid
    )
{%- endmacro %}

{% macro _grant_ddl_sql() -%}
    {#- The statement that gives it again. -#}
    format(
        'grant %s%s on %s to %s%s', granted.privilege_type,
        ' (' || quote_ident(granted.attname) || ')', pg_class.oid::regclass,
        case granted.grantee when 0 then 'public' else granted.grantee::regrole::text end,
        case when granted.is_grantable then ' with grant option' end
    )
{%- endmacro %}

{% macro _view_ddl_sql() %}
    {#- The statements that make pg_class's view as it is: definition and options, indexes of a materialized one,
        defaults, triggers and rules, comments, grants, owner. -#}
    (
        select array_agg(statements.statement order by statements.position, statements.statement)
        from (
            select
                1 as position,
                format(
                    'create %s %s%s as %s%s', case pg_class.relkind when 'm' then 'materialized view' else 'view' end,
                    pg_class.oid::regclass, ' with (' || array_to_string(pg_class.reloptions, ', ') || ')',
                    rtrim(pg_get_viewdef(pg_class.oid), ';'),
                    case when not pg_class.relispopulated then ' with no data' end
                ) as statement
            union all
            select 2, pg_get_indexdef(pg_index.indexrelid)
            from pg_catalog.pg_index
            where pg_index.indrelid = pg_class.oid
            union all
            select
                2,
                format(
                    'alter view %s alter column %I set default %s', pg_class.oid::regclass, pg_attribute.attname,
                    pg_get_expr(pg_attrdef.adbin, pg_attrdef.adrelid)
                )
            from pg_catalog.pg_attrdef
            inner join pg_catalog.pg_attribute
                on pg_attrdef.adrelid = pg_attribute.attrelid and pg_attrdef.adnum = pg_attribute.attnum
            where pg_attrdef.adrelid = pg_class.oid
            union all
            select 2, pg_get_triggerdef(pg_trigger.oid)
            from pg_catalog.pg_trigger
            where pg_trigger.tgrelid = pg_class.oid and not pg_trigger.tgisinternal
            union all
            select 2, pg_get_ruledef(pg_rewrite.oid)
            from pg_catalog.pg_rewrite
            where pg_rewrite.ev_class = pg_class.oid and pg_rewrite.rulename <> '_RETURN'
            union all
            -- What default privileges give to a new view, the old one may not have had.
            select
                3,
                format(
                    'revoke all on %s from %s', pg_class.oid::regclass,
                    case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end
                )
            from pg_catalog.pg_default_acl
            cross join lateral aclexplode(pg_default_acl.defaclacl) as acl
            where
                pg_default_acl.defaclnamespace in (0, pg_class.relnamespace)
                and pg_default_acl.defaclrole = current_user::regrole
                and pg_default_acl.defaclobjtype = 'r'
                and acl.grantee <> pg_default_acl.defaclrole
            union all
            select
                4,
                {{ _grant_ddl_sql() }}
            from {{ _granted_sql() }} as granted
            union all
            select
                5,
                case pg_description.objsubid
                    when 0 then format(
                        'comment on %s %s is %L', case pg_class.relkind when 'm' then 'materialized view' else 'view' end,
                        pg_class.oid::regclass, pg_description.description
                    )
                    else format(
                        'comment on column %s.%I is %L', pg_class.oid::regclass, pg_attribute.attname,
                        pg_description.description
                    )
                end
            from pg_catalog.pg_description
            left join pg_catalog.pg_attribute
                on pg_description.objoid = pg_attribute.attrelid and pg_description.objsubid = pg_attribute.attnum
            where pg_description.objoid = pg_class.oid and pg_description.classoid = 'pg_class'::regclass
            union all
            select
                6,
                format(
                    'alter %s %s owner to %s', case pg_class.relkind when 'm' then 'materialized view' else 'view' end,
                    pg_class.oid::regclass, pg_class.relowner::regrole
                )
            where pg_class.relowner <> current_user::regrole
        ) as statements
    )
{% endmacro %}
