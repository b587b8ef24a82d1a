-- What each of Haven's roles, and each login that is a member of one, can do with each relation, as
-- PostgreSQL itself would decide, and why.
with

roles as (

    select
        pg_roles.oid as role_id,
        pg_roles.rolname as role_name,
        pg_roles.rolcanlogin as can_login,
        pg_roles.rolsuper as is_all_powerful
    from pg_catalog.pg_roles
    where
        pg_roles.rolname ~ '^haven_'
        or exists (
            select 1
            from pg_catalog.pg_auth_members
            inner join pg_catalog.pg_roles as memberships
                on pg_auth_members.roleid = memberships.oid
            where pg_auth_members.member = pg_roles.oid and memberships.rolname ~ '^haven_'
        )

),

relations as (

    select
        pg_class.oid as relation_id,
        pg_namespace.oid as schema_id,
        pg_namespace.nspname as schema_name,
        pg_class.relname as relation_name,
        pg_class.relowner as owner_id,
        pg_class.relacl as access_list
    from pg_catalog.pg_class
    inner join pg_catalog.pg_namespace
        on pg_class.relnamespace = pg_namespace.oid
    where
        pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
        and pg_namespace.nspname not in ('pg_catalog', 'information_schema')
        and pg_namespace.nspname !~ '^pg_(toast|temp)'
        and {{ is_of_this_target('pg_namespace.nspname') if target.name == 'dev' else 'true' }}

),

privileges as (

    select privilege_name
    from unnest(
        array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']
    ) as wanted (privilege_name)

),

final as (

    select
        roles.role_name::text as role_name,
        relations.schema_name::text as schema_name,
        relations.relation_name::text as relation_name,
        lower(privileges.privilege_name) as privilege_name,
        case
            when roles.is_all_powerful then 'superuser'
            when pg_has_role(roles.role_id, relations.owner_id, 'usage') then 'owner'
            when exists (
                select 1 from aclexplode(relations.access_list) as acl_items
                where
                    acl_items.grantee = roles.role_id
                    and acl_items.privilege_type = privileges.privilege_name
            ) then 'grant'
            when exists (
                select 1 from aclexplode(relations.access_list) as acl_items
                where acl_items.grantee = 0 and acl_items.privilege_type = privileges.privilege_name
            ) then 'public'
            when exists (
                select 1
                from pg_catalog.pg_attribute
                cross join aclexplode(pg_attribute.attacl) as acl_items
                where
                    pg_attribute.attrelid = relations.relation_id
                    and acl_items.grantee in (0, roles.role_id)
                    and acl_items.privilege_type = privileges.privilege_name
            ) then 'grant on columns'
            else 'member of another role'
        end as granted_by,
        roles.can_login
    from roles
    cross join relations
    cross join privileges
    where
        has_schema_privilege(roles.role_id, relations.schema_id, 'usage')
        and case
            when privileges.privilege_name in ('SELECT', 'INSERT', 'UPDATE')
                then has_any_column_privilege(
                    roles.role_id, relations.relation_id, privileges.privilege_name
                )
            else has_table_privilege(
                roles.role_id, relations.relation_id, privileges.privilege_name
            )
        end

)

select * from final
