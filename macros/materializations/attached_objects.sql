{% macro relation_kind(relation) %}
    {#- What PostgreSQL says that the relation is: r table, p partitioned table, v view, m materialized view, f
        foreign table; none if there is no such thing. dbt's cache does not know all that happens. -#}
    {% set found = run_query(
        "select pg_class.relkind::text from pg_catalog.pg_class "
        ~ "inner join pg_catalog.pg_namespace on pg_class.relnamespace = pg_namespace.oid "
        ~ "where pg_class.relkind in ('r', 'p', 'v', 'm', 'f') "
        ~ "and pg_namespace.nspname = '" ~ relation.schema ~ "' and pg_class.relname = '" ~ relation.identifier ~ "'") %}
    {{ return(found[0][0] if found.rows else none) }}
{% endmacro %}

{% macro check_can_be_written(relation) %}
    {#- A build compares the rows that are there with those that should be. It has to see all of them, or it writes the
        hidden ones again; and only its own, or it deletes those of a table that inherits. Asked before anything
        moves. -#}
    {% set query %}
        select case
            when bool_or(row_security_active(parts.oid)) then
                'row-level security hides rows of {{ relation.schema }}.{{ relation.identifier }} from ' || current_user
                || ', who would write them again. Let that role see all rows (alter table {{ relation }} '
                || 'no force row level security if it owns the table, else alter role ' || current_user || ' bypassrls)'
            when bool_or(pg_class.relkind = 'r' and parts.oid <> pg_class.oid) then
                string_agg(parts.oid::regclass::text, ', ') filter (where parts.oid <> pg_class.oid)
                || ' inherits from {{ relation.schema }}.{{ relation.identifier }}, and its rows would be taken for rows of '
                || 'the model. End that (alter table … no inherit {{ relation }})'
        end
        from pg_catalog.pg_class
        inner join pg_catalog.pg_namespace on pg_class.relnamespace = pg_namespace.oid
        cross join lateral (
            select pg_class.oid
            union all
            select pg_inherits.inhrelid from pg_catalog.pg_inherits where pg_inherits.inhparent = pg_class.oid
        ) as parts (oid)
        where
            pg_class.relkind in ('r', 'p')
            and pg_namespace.nspname = '{{ relation.schema }}' and pg_class.relname = '{{ relation.identifier }}'
    {% endset %}
    {% set problem = run_query(query)[0][0] %}
    {% if problem %}
        {% do exceptions.raise_compiler_error(model.name ~ ': ' ~ problem ~ ', and build again. Nothing was changed') %}
    {% endif %}
{% endmacro %}

{% macro attached_objects(relation, like_relation=none) %}
    {#- What would go with the relation if it were dropped and made anew, as dbt knows nothing of it: views and
        all else that depends on it, and what somebody gave it by hand. A list of descriptions. The other relation is
        how the model makes it. -#}
    {% set query %}
        select distinct described.what
        from (
            select dependencies.what
            from (
                {{ dependencies_sql(["'" ~ relation ~ "'::regclass"], like_relation=like_relation) }}
            ) as dependencies
            union all
            select described.what
            from pg_catalog.pg_class
            cross join lateral (
                {{ _given_by_hand_sql() }}
            ) as described
            where pg_class.oid = '{{ relation }}'::regclass
        ) as described
        order by 1
    {% endset %}
    {{ return(run_query(query).columns[0].values() | list) }}
{% endmacro %}

{% macro _given_by_hand_sql() %}
    {#- What pg_class's relation has that a new one of dbt would not have. -#}
    select 'rights that no +grants gives' as what
    from aclexplode(pg_class.relacl) as granted
    where
        granted.grantee <> pg_class.relowner
        and case granted.grantee when 0 then 'public' else granted.grantee::regrole::text end
        not in ('{{ granted_roles() | join("', '") }}')
        and not exists (
            select from pg_catalog.pg_default_acl
            cross join lateral aclexplode(pg_default_acl.defaclacl) as given
            where
                pg_default_acl.defaclrole = pg_class.relowner
                and pg_default_acl.defaclnamespace in (0, pg_class.relnamespace)
                and pg_default_acl.defaclobjtype = 'r'
                and given.grantee = granted.grantee
                and given.privilege_type = granted.privilege_type
                and given.is_grantable >= granted.is_grantable
        )
    union all
    select 'an owner of its own'
    where pg_class.relowner <> current_user::regrole
    union all
    select 'a comment that no description gives'
    from {{ _comments_by_hand_sql() }} as comments
    union all
    select 'settings of its own'
    where
        pg_class.relrowsecurity or pg_class.relforcerowsecurity or pg_class.relreplident <> 'd'
        or (pg_class.relkind = 'r' and pg_class.reloptions is not null)
        or exists (
            select from pg_catalog.pg_class as toast
            where toast.oid = pg_class.reltoastrelid and toast.reloptions is not null
        )
        or exists (
            select from pg_catalog.pg_attribute
            inner join pg_catalog.pg_type on pg_attribute.atttypid = pg_type.oid
            where
                pg_attribute.attrelid = pg_class.oid
                and pg_attribute.attnum > 0
                and (
                    pg_attribute.attacl is not null or pg_attribute.attoptions is not null
                    or coalesce(pg_attribute.attstattarget, -1) <> -1
                    or pg_attribute.attstorage <> pg_type.typstorage or pg_attribute.attcompression <> ''
                    or pg_attribute.attidentity <> '' or (pg_attribute.atthasdef and pg_attribute.attgenerated = '')
                )
        )
        or exists (
            select from pg_catalog.pg_seclabel
            where pg_seclabel.objoid = pg_class.oid and pg_seclabel.classoid = 'pg_class'::regclass
        )
{% endmacro %}

{% macro _comments_by_hand_sql() %}
    {#- Comments on pg_class's relation, or on a column of it, that no description of the model replaces. -#}
    {% set described = [''] %}
    {% for name, column in (model.get('columns') or {}).items() if config.persist_column_docs() and column.description %}
        {% do described.append(name | replace("'", "''")) %}
    {% endfor %}
    (
        select pg_attribute.attname, pg_description.description
        from pg_catalog.pg_description
        left join pg_catalog.pg_attribute
            on pg_description.objoid = pg_attribute.attrelid and pg_description.objsubid = pg_attribute.attnum
        where
            pg_description.objoid = pg_class.oid and pg_description.classoid = 'pg_class'::regclass
            and case pg_description.objsubid
                when 0 then {{ 'false' if config.persist_relation_docs() and model.description else 'true' }}
                else pg_attribute.attname not in ('{{ described | join("', '") }}')
            end
    )
{%- endmacro %}

{% macro granted_roles() %}
    {#- Every role, quoted as PostgreSQL does, to which the project gives rights on anything by +grants. -#}
    {% set roles = [] %}
    {% for node in graph.nodes.values() %}
        {% for grantees in (node.config.get('grants') or {}).values() %}
            {% do roles.extend([grantees] if grantees is string else grantees) %}
        {% endfor %}
    {% endfor %}
    {{ return(roles | unique | list) }}
{% endmacro %}

{% macro dependencies_sql(relations, kinds=['n', 'a'], like_relation=none) %}
    {#- What PostgreSQL's catalog says depends on the relations (expressions that give an oid) or on their row
        types, but for what belongs to a table as dbt makes it (as it made the other relation); kinds as in pg_depend.
        With kind a also the tables that they are parts of. Columns: relation (its oid), view (the oid of the dependant
        if it is a view or has a rule that reads the relation), what. -#}
    {% set declared = [''] %}
    {% for constraint in (model.get('constraints') or [])
        + (model.get('columns') or {}).values() | map(attribute='constraints', default=[]) | sum(start=[])
        if constraint.name %}
        {% do declared.append(constraint.name | replace("'", "''")) %}
    {% endfor %}
    select
        selves.oid as relation,
        case when rules.ev_class <> selves.oid then rules.ev_class end as view,
        case
            when rules.ev_class <> selves.oid then pg_describe_object('pg_class'::regclass, rules.ev_class, 0)
            else pg_describe_object(depending.classid, depending.objid, depending.objsubid)
        end as what
    from pg_catalog.pg_class as selves
    left join pg_catalog.pg_type as row_types on selves.reltype = row_types.oid
    inner join pg_catalog.pg_depend as depending
        on
            (depending.refclassid = 'pg_class'::regclass and depending.refobjid = selves.oid)
            or (
                depending.refclassid = 'pg_type'::regclass
                and depending.refobjid in (row_types.oid, row_types.typarray)
            )
    left join pg_catalog.pg_rewrite as rules
        on depending.classid = 'pg_rewrite'::regclass and depending.objid = rules.oid
    left join pg_catalog.pg_attrdef as defaults
        on depending.classid = 'pg_attrdef'::regclass and depending.objid = defaults.oid
    left join pg_catalog.pg_constraint as constraints
        on depending.classid = 'pg_constraint'::regclass and depending.objid = constraints.oid
    left join pg_catalog.pg_trigger as triggers
        on depending.classid = 'pg_trigger'::regclass and depending.objid = triggers.oid
    left join pg_catalog.pg_class as classes
        on depending.classid = 'pg_class'::regclass and depending.objid = classes.oid
    where
        selves.oid in ({{ relations | join(', ') }})
        and depending.deptype in ('{{ kinds | join("', '") }}')
        and not coalesce(rules.ev_class = selves.oid and rules.rulename = '_RETURN', false)
        and not coalesce(defaults.adrelid = selves.oid and selves.relkind <> 'v', false)
        and not coalesce(triggers.tgisinternal, false)
        and not coalesce(
            constraints.conrelid = selves.oid
            and (
                constraints.contype in ('n', 't') or selves.relispartition
                {#- Those of dbt have the name that the project gives them, or PostgreSQL gave to the table aside. #}
                or constraints.conname in ('{{ declared | join("', '") }}')
                or constraints.conname ~ '__(dbt_tmp|aside)_'
                {%- if like_relation %}
                or pg_get_constraintdef(constraints.oid) in (
                    select pg_get_constraintdef(made.oid) from pg_catalog.pg_constraint as made
                    where made.conrelid = '{{ like_relation }}'::regclass
                )
                {%- endif %}
            ),
            false
        )
        {#- Indexes that dbt made have a hash for a name; a sequence goes with its column. -#}
        and not coalesce(
            classes.relkind in ('S', 't')
            or (classes.relkind in ('i', 'I') and classes.relname ~ '^[0-9a-f]{32}$')
            or (classes.relkind in ('r', 'p') and classes.relispartition),
            false
        )
    {%- if 'a' in kinds %}
    union all
    select parts.inhrelid, null, 'being a part of ' || pg_describe_object('pg_class'::regclass, parts.inhparent, 0)
    from pg_catalog.pg_inherits as parts
    where parts.inhrelid in ({{ relations | join(', ') }})
    {%- endif %}
{% endmacro %}
