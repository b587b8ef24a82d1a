-- Who may do what in the warehouse. Idempotent; run it as the database's owner with CREATEROLE, or as a superuser, by
-- `haven access` or plain psql:  haven access --print | psql
-- The roles are groups without login: `create role ann login in role haven_analyst`. The loader and the transformer
-- own what they make, so log in as themselves: `alter role haven_loader login password '…'`.
set search_path to pg_catalog, pg_temp;

do $$
declare
    role_name text;
begin
    foreach role_name in array array[
        'haven_loader', 'haven_transformer', 'haven_analyst', 'haven_ml', 'haven_vendor', 'haven_developer'
    ] loop
        if to_regrole(role_name) is null then
            begin
                execute format('create role %I nologin', role_name);
            exception when duplicate_object or unique_violation then
                null; -- made by someone else at this moment
            end;
        end if;
    end loop;
    -- To give objects away one has to be a member of the new owner. A superuser need not.
    if not (select rolsuper from pg_roles where rolname = current_user) then
        execute format('grant haven_loader, haven_transformer to %I', current_user);
    end if;
    execute format('revoke all on database %I from public', current_database());
    execute format(
        'grant connect on database %I to haven_loader, haven_transformer, haven_analyst, haven_ml, haven_vendor',
        current_database()
    );
    execute format(
        'grant connect, create, temporary on database %I to haven_loader, haven_transformer, haven_developer',
        current_database()
    );
end
$$;

revoke create on schema public from public;
revoke usage on schema public from haven_analyst, haven_ml, haven_vendor;

-- Schemas, with their owner. Further raw schemas are made by the loader, which owns them.
do $$
declare
    found record;
begin
    for found in
        select schemas.name, schemas.owner, pg_namespace.nspowner::regrole::text as present_owner
        from (
            values
            ('raw', 'haven_loader'),
            ('raw_masked', 'haven_transformer'),
            ('ops', 'haven_loader'),
            ('staging', 'haven_transformer'),
            ('intermediate', 'haven_transformer'),
            ('snapshots', 'haven_transformer'),
            ('model_state', 'haven_transformer'),
            ('elementary', 'haven_transformer'),
            ('reference', 'haven_transformer'),
            ('analytics', 'haven_transformer'),
            ('ml', 'haven_transformer'),
            ('vendor', 'haven_transformer'),
            ('quality', 'haven_transformer')
        ) as schemas (name, owner)
        left join pg_namespace on schemas.name = pg_namespace.nspname
    loop
        if found.present_owner is null then
            execute format('create schema %I authorization %I', found.name, found.owner);
        elsif found.present_owner <> found.owner then
            execute format('alter schema %I owner to %I', found.name, found.owner);
        end if;
    end loop;
end
$$;

-- What was made before by another role (a superuser, say) goes to the role that has to change it from now on.
do $$
declare
    found record;
begin
    for found in
        select
            case pg_class.relkind
                when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' else 'table'
            end as kind,
            pg_class.oid::regclass::text as name, pg_namespace.nspowner::regrole::text as owner
        from pg_class
        inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
        where pg_namespace.nspowner in ('haven_loader'::regrole, 'haven_transformer'::regrole)
            and pg_class.relowner <> pg_namespace.nspowner
            and pg_class.relkind in ('r', 'p', 'v', 'm', 'S')
            -- The sequence of an identity column goes with its table. A partition, and the key of what is partitioned,
            -- depend on a table in the same way.
            and not (
                pg_class.relkind = 'S'
                and exists (
                    select from pg_depend
                    where pg_depend.objid = pg_class.oid and pg_depend.deptype in ('i', 'a')
                        and pg_depend.refclassid = 'pg_class'::regclass
                )
            )
        order by pg_class.oid
    loop
        execute format('alter %s %s owner to %s', found.kind, found.name, found.owner);
    end loop;
    for found in
        select pg_proc.oid::regprocedure::text as name, pg_namespace.nspowner::regrole::text as owner
        from pg_proc
        inner join pg_namespace on pg_proc.pronamespace = pg_namespace.oid
        where pg_namespace.nspowner in ('haven_loader'::regrole, 'haven_transformer'::regrole)
            and pg_proc.proowner <> pg_namespace.nspowner
    loop
        execute format('alter routine %s owner to %s', found.name, found.owner);
    end loop;
end
$$;

-- Who reads which schema. Tables of analytics, ml, reference, vendor and quality are granted by dbt (+grants), one by
-- one and again at each rebuild; here only what dbt does not make: raw, ops.
grant usage on schema raw, ops to haven_transformer;
grant usage on schema analytics, reference, quality to haven_analyst;
grant usage on schema ml, reference to haven_ml;
grant usage on schema vendor to haven_vendor;
-- Who changes models: what analysts and ML see, views of raw without personal values (made by dbt's
-- create_masked_sources), of the runner's state what models ask for; and schemas of their own.
grant haven_analyst, haven_ml to haven_developer;
grant usage on schema raw_masked, ops to haven_developer;
do $$
begin
    if to_regclass('ops.runs') is not null then
        grant select (status, loading_from) on ops.runs to haven_developer;
        grant select on ops.reconciliations to haven_developer;
    end if;
end
$$;
grant select on all tables in schema raw, ops to haven_transformer;
-- dbt writes the results of its runs, and who reads the alerts that it builds notes what was told.
do $$
begin
    if to_regclass('ops.node_results') is not null then
        grant insert, update, delete on ops.node_results to haven_transformer;
    end if;
    if to_regclass('ops.alert_deliveries') is not null then
        grant insert on ops.alert_deliveries to haven_transformer;
    end if;
end
$$;
revoke all on all routines in schema ops from public;

-- The same for what is made later; functions of these two are nobody else's unless granted. For the role that runs
-- this too: on one's own machine it may load and build itself.
do $$
declare
    maker text;
begin
    foreach maker in array array['haven_loader', current_user::text] loop
        execute format(
            'alter default privileges for role %I in schema raw, ops grant select on tables to haven_transformer',
            maker
        );
    end loop;
    foreach maker in array array['haven_loader', 'haven_transformer'] loop
        execute format('alter default privileges for role %I revoke execute on routines from public', maker);
    end loop;
end
$$;
-- Any other schema the loader makes is raw data of a further source.
alter default privileges for role haven_loader grant usage on schemas to haven_transformer;
alter default privileges for role haven_loader grant select on tables to haven_transformer;

-- What masking and row security need, owned by whoever runs this file: neither the transformer nor a reader can see
-- the key of the hash, and nobody but the operator can say which vendor a login is.
do $$
declare
    stranger text;
begin
    -- Who may make schemas could have made this one before, and would go on to own what is put in it.
    select string_agg(distinct found.owner::regrole::text, ', ') into stranger
    from (
        select nspowner as owner, oid as schema_id from pg_namespace
        union all
        select relowner, relnamespace from pg_class
        union all
        select proowner, pronamespace from pg_proc
    ) as found
    inner join pg_roles on found.owner = pg_roles.oid
    where found.schema_id = to_regnamespace('privacy')
        and (
            pg_roles.rolname in ('haven_loader', 'haven_transformer')
            or not (pg_roles.rolsuper or pg_has_role(pg_roles.oid, 'usage'))
        );
    if stranger is not null then
        raise exception 'the schema privacy, or something in it, belongs to %', stranger
            using hint = 'look at it, drop it, then run this again';
    end if;
end
$$;
create schema if not exists privacy;
revoke all on schema privacy from public;
grant usage on schema privacy to haven_transformer;

create table if not exists privacy.hash_keys (
    is_current boolean primary key default true check (is_current),
    inner_key bytea not null,
    outer_key bytea not null,
    set_at timestamptz not null default now()
);
revoke all on privacy.hash_keys from public;
comment on table privacy.hash_keys is 'The key of privacy.pseudonym, as HMAC pads it. One row.';

create or replace function privacy.set_hash_key(secret text)
returns void
language sql
set search_path to pg_catalog, pg_temp
as $$
    -- HMAC (RFC 2104) of a key brought to one block by hashing: the key, padded with zeros, xor 0x36 and 0x5c.
    with padded as (
        select sha256(convert_to(secret, 'UTF8')) || decode(repeat('00', 32), 'hex') as block
    ),
    pads as (
        select
            decode(string_agg(lpad(to_hex(get_byte(block, i) # 54), 2, '0'), '' order by i), 'hex') as inner_key,
            decode(string_agg(lpad(to_hex(get_byte(block, i) # 92), 2, '0'), '' order by i), 'hex') as outer_key
        from padded
        cross join generate_series(0, 63) as i
    )
    insert into privacy.hash_keys (inner_key, outer_key)
    select pads.inner_key, pads.outer_key
    from pads
    on conflict (is_current) do update
    set inner_key = excluded.inner_key, outer_key = excluded.outer_key, set_at = now()
    where hash_keys.inner_key <> excluded.inner_key
$$;
revoke all on function privacy.set_hash_key(text) from public;
select privacy.set_hash_key(gen_random_uuid()::text || gen_random_uuid()::text)
where not exists (select from privacy.hash_keys);

-- HMAC-SHA-256 of a value; with its owner's rights, as the caller may not see the key.
create or replace function privacy.pseudonym(value text)
returns text
language sql stable strict security definer
set search_path to pg_catalog, pg_temp
as $$
    select encode(sha256(outer_key || sha256(inner_key || convert_to(value, 'UTF8'))), 'hex')
    from privacy.hash_keys
$$;
revoke all on function privacy.pseudonym(text) from public;
grant execute on function privacy.pseudonym(text) to haven_transformer;

create table if not exists privacy.vendor_logins (
    login name not null,
    vendor_id bigint not null,
    primary key (login, vendor_id)
);
revoke all on privacy.vendor_logins from public;
grant select on privacy.vendor_logins to haven_transformer;
comment on table privacy.vendor_logins is
'Which vendors a login may see in the schema vendor. The operator fills it.';

-- What has drifted: rights that somebody gave to readers, or to everyone, beyond what this file and dbt's +grants give.
-- Other roles, such as those of single people, are left alone.
do $$
declare
    found record;
begin
    for found in
        select format('alter role %I nosuperuser nocreatedb nocreaterole noreplication nobypassrls', rolname) as statement
        from pg_roles
        where rolname in ('haven_loader', 'haven_transformer', 'haven_analyst', 'haven_ml', 'haven_vendor')
            and (rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls)
        union all
        select format('revoke %I from %I', granted.rolname, member.rolname)
        from pg_auth_members
        inner join pg_roles as granted on pg_auth_members.roleid = granted.oid
        inner join pg_roles as member on pg_auth_members.member = member.oid
        where member.rolname in ('haven_analyst', 'haven_ml', 'haven_vendor')
    loop
        execute found.statement;
    end loop;
    for found in
        with readers as (
            select oid, rolname::text as name from pg_roles where rolname in ('haven_analyst', 'haven_ml', 'haven_vendor')
            union all
            select 0, 'public'
        ),
        theirs (name, schema) as (
            values
            ('haven_analyst', 'analytics'), ('haven_analyst', 'reference'), ('haven_analyst', 'quality'),
            ('haven_ml', 'ml'), ('haven_ml', 'reference'), ('haven_vendor', 'vendor')
        ),
        schemas as (
            select oid, nspname, nspacl from pg_namespace
            where nspowner in ('haven_loader'::regrole, 'haven_transformer'::regrole)
                or nspname in ('privacy', 'public')
        ),
        granted as (
            select
                schemas.nspname as schema, format('schema %I', schemas.nspname) as thing, null::name as column_name,
                'USAGE' as usual, acl.grantee, acl.privilege_type
            from schemas
            cross join lateral aclexplode(schemas.nspacl) as acl
            where schemas.nspname <> 'public'
            union all
            select schemas.nspname, pg_class.oid::regclass::text, null, 'SELECT', acl.grantee, acl.privilege_type
            from schemas
            inner join pg_class on schemas.oid = pg_class.relnamespace
            cross join lateral aclexplode(pg_class.relacl) as acl
            where pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
            union all
            select
                schemas.nspname, pg_class.oid::regclass::text, pg_attribute.attname, 'SELECT', acl.grantee,
                acl.privilege_type
            from schemas
            inner join pg_class on schemas.oid = pg_class.relnamespace
            inner join pg_attribute on pg_class.oid = pg_attribute.attrelid
            cross join lateral aclexplode(pg_attribute.attacl) as acl
        )
        select
            granted.thing, readers.name as reader,
            granted.privilege_type || coalesce(' (' || quote_ident(granted.column_name) || ')', '') as privilege
        from granted
        inner join readers on granted.grantee = readers.oid
        left join theirs on readers.name = theirs.name and granted.schema = theirs.schema
        where theirs.name is null or granted.privilege_type <> granted.usual
    loop
        execute format('revoke %s on %s from %s cascade', found.privilege, found.thing, found.reader);
    end loop;
    for found in
        select pg_proc.oid::regprocedure::text as name
        from pg_proc
        inner join pg_namespace on pg_proc.pronamespace = pg_namespace.oid
        cross join lateral aclexplode(coalesce(pg_proc.proacl, acldefault('f', pg_proc.proowner))) as acl
        where pg_namespace.nspowner in ('haven_loader'::regrole, 'haven_transformer'::regrole) and acl.grantee = 0
    loop
        execute format('revoke execute on routine %s from public', found.name);
    end loop;
end
$$;
