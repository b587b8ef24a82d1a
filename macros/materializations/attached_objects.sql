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

{% macro attached_objects(relation) %}
    {#- What would go with the relation if it were dropped and made anew, as dbt knows nothing of it: views and
        all else that depends on it, and what somebody gave it by hand. A list of descriptions. -#}
    {% set query %}
        select distinct described.what
        from (
            select dependencies.what from ({{ dependencies_sql(["'" ~ relation ~ "'::regclass"]) }}) as dependencies
            union all
            select 'rights that no +grants gives' as what
            from pg_catalog.pg_class
            cross join lateral aclexplode(pg_class.relacl) as granted
            where
                pg_class.oid = '{{ relation }}'::regclass
                and granted.grantee not in (pg_class.relowner, 0)
                and granted.grantee::regrole::text not in ('{{ granted_roles() | join("', '") }}')
                and not exists (
                    select from pg_catalog.pg_default_acl
                    where
                        pg_default_acl.defaclrole = pg_class.relowner
                        and pg_default_acl.defaclnamespace in (0, pg_class.relnamespace)
                        and pg_default_acl.defaclobjtype = 'r'
                )
            union all
            select 'settings of its own'
            from pg_catalog.pg_class
            where
                pg_class.oid = '{{ relation }}'::regclass
                and (
                    pg_class.relrowsecurity or pg_class.relforcerowsecurity or pg_class.relreplident <> 'd'
                    or (pg_class.relkind = 'r' and pg_class.reloptions is not null)
                    or exists (
                        select from pg_catalog.pg_attribute
                        where
                            pg_attribute.attrelid = pg_class.oid
                            and (
                                pg_attribute.attacl is not null or pg_attribute.attoptions is not null
                                or pg_attribute.attstattarget > 0
                            )
                    )
                    or exists (
                        select from pg_catalog.pg_seclabel
                        where pg_seclabel.objoid = pg_class.oid and pg_seclabel.classoid = 'pg_class'::regclass
                    )
                )
        ) as described
        order by 1
    {% endset %}
    {{ return(run_query(query).columns[0].values() | list) }}
{% endmacro %}

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

{% macro dependencies_sql(relations, kinds=['n', 'a']) %}
    {#- What PostgreSQL's catalog says depends on the relations (expressions that give an oid) or on their row
        types, but for what belongs to a table as dbt makes it; kinds as in pg_depend. Columns: relation (its
        oid), view (the oid of the dependant if it is a view or has a rule that reads the relation), what. -#}
    {% set has_constraints = [] %}
    {% for constraint in (model.get('constraints') or [])
        + (model.get('columns') or {}).values() | map(attribute='constraints', default=[]) | sum(start=[])
        if constraint.type != 'not_null' %}
        {% do has_constraints.append(constraint) %}
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
                or {{ 'true' if has_constraints else 'false' }}
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
{% endmacro %}
