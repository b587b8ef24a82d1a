-- The runner's own state. Idempotent: run whenever this file has changed, under an advisory lock. A later column
-- comes as `alter table ... add column if not exists`.
create schema if not exists ops;

create sequence if not exists ops.load_id_seq as bigint;

create table if not exists ops.runs (
    run_id text primary key,
    source text not null,
    command text not null,
    status text not null check (status in ('running', 'ok', 'failed')),
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    summary jsonb
);

-- A load takes its id before it commits: models must not take a lower id for read while it may still appear.
alter table ops.runs add column if not exists loading_from bigint;

alter table ops.runs add column if not exists raw_schemas text[];

create table if not exists ops.table_loads (
    load_id bigint primary key,
    run_id text not null,
    source_name text not null,
    table_name text not null,
    raw_schema text not null,
    raw_table text not null,
    strategy text not null,
    mode text check (mode in ('first', 'full', 'incremental', 'backfill', 'repair')),
    status text not null check (status in ('ok', 'failed')),
    started_at timestamptz not null,
    finished_at timestamptz not null,
    rows_read bigint not null default 0,
    rows_inserted bigint not null default 0,
    rows_updated bigint not null default 0,
    rows_unchanged bigint not null default 0,
    rows_deleted bigint not null default 0,
    rows_rejected bigint not null default 0,
    watermark_from text,
    watermark_to text,
    error text
);

create index if not exists table_loads_by_table
on ops.table_loads (source_name, table_name, finished_at);

alter table ops.table_loads add column if not exists tries integer not null default 1;

-- Until 0.1 huge tables were loaded in parts; a run that was killed then may have left some.
do $$
declare
    leftover regclass;
begin
    for leftover in
        select pg_class.oid
        from pg_catalog.pg_class
        where relnamespace = 'ops'::regnamespace and relkind = 'r' and relname ~ '^load_([0-9]+|parts)$'
    loop
        execute format('drop table %s', leftover);
    end loop;
end
$$;

create table if not exists ops.circuit_breakers (
    source text primary key,
    failed_runs integer not null,
    last_failed_at timestamptz not null,
    retry_at timestamptz not null,
    last_error text not null
);

create table if not exists ops.watermarks (
    raw_schema text not null,
    raw_table text not null,
    source_name text not null,
    table_name text not null,
    watermark_column text not null,
    watermark text not null,
    load_id bigint not null,
    updated_at timestamptz not null default now(),
    primary key (raw_schema, raw_table)
);

-- Null until a mark is known to be safe; `candidates` are marks that wait for transactions of the source to end.
alter table ops.watermarks alter column watermark drop not null;
alter table ops.watermarks add column if not exists candidates jsonb not null default '[]';

-- A mark was once kept by source and table: it is its last load's, unless another copy has moved it since that one read
-- the table whole. A copy without a mark is read whole, once.
alter table ops.watermarks add column if not exists raw_schema text, add column if not exists raw_table text;

update ops.watermarks
set raw_schema = own.raw_schema, raw_table = own.raw_table
from ops.table_loads as own
where watermarks.raw_schema is null and watermarks.load_id = own.load_id
    and not exists (
        select from ops.table_loads as other
        where other.source_name = own.source_name and other.table_name = own.table_name and other.status = 'ok'
            and (other.raw_schema, other.raw_table) <> (own.raw_schema, own.raw_table)
            and other.load_id > (
                select coalesce(max(whole.load_id), 0)
                from ops.table_loads as whole
                where whole.source_name = own.source_name and whole.table_name = own.table_name
                    and (whole.raw_schema, whole.raw_table) = (own.raw_schema, own.raw_table)
                    and whole.mode in ('first', 'full') and whole.status = 'ok'
            )
    );

delete from ops.watermarks
where raw_schema is null;

alter table ops.watermarks add column if not exists watermark_type text;

-- A mark that is older than its type is of the type that raw has.
update ops.watermarks
set watermark_type = format_type(pg_attribute.atttypid, null)
from pg_attribute
where watermarks.watermark_type is null
    and pg_attribute.attrelid = to_regclass(format('%I.%I', watermarks.raw_schema, watermarks.raw_table))
    and pg_attribute.attname = watermarks.watermark_column;

alter table ops.watermarks drop constraint if exists watermarks_pkey;
alter table ops.watermarks add primary key (raw_schema, raw_table);

create table if not exists ops.schema_changes (
    schema_change_id bigint generated always as identity primary key,
    load_id bigint not null,
    source_name text not null,
    table_name text not null,
    column_name text not null,
    change text not null,
    raw_type text,
    detected_at timestamptz not null default now()
);

alter table ops.schema_changes add column if not exists old_type text;
alter table ops.schema_changes add column if not exists is_backfill_advised boolean not null default false;
alter table ops.schema_changes add column if not exists backfilled_at timestamptz;
alter table ops.schema_changes drop constraint if exists schema_changes_change_check;
alter table ops.schema_changes add constraint schema_changes_change_check
check (change in ('added', 'dropped', 'restored', 'widened', 'nullable', 'renamed', 'rebuilt', 'key'));
alter table ops.schema_changes add column if not exists old_name text;
alter table ops.schema_changes add column if not exists raw_schema text, add column if not exists raw_table text;

update ops.schema_changes
set raw_schema = table_loads.raw_schema, raw_table = table_loads.raw_table
from ops.table_loads
where schema_changes.raw_schema is null and schema_changes.load_id = table_loads.load_id;

comment on column ops.schema_changes.old_name is 'Name in raw before; null unless the column was renamed.';

create table if not exists ops.table_identities (
    raw_schema text not null,
    raw_table text not null,
    system_identifier text,
    database_oid bigint not null,
    database_name text not null,
    table_oid bigint not null,
    storage text not null,
    column_numbers jsonb not null,
    load_id bigint not null,
    noted_at timestamptz not null default now(),
    primary key (raw_schema, raw_table)
);

-- Empty where an older Haven noted the table: unknown, so no reason to compare it.
alter table ops.table_identities add column if not exists made_from jsonb not null default '{}';

comment on table ops.table_identities is
'Which database and table each raw table was last loaded from; another one is compared whole, or stops the load.';
comment on column ops.table_identities.storage is
'The file of the source''s table (relfilenode); a digest where it has pieces, such as partitions, or is a view.';
comment on column ops.table_identities.column_numbers is 'The source''s columns by name, with their attnum.';
comment on column ops.table_identities.made_from is
'Enum labels, composite attributes and generated expressions of the columns, by attnum and what they are.';

comment on table ops.runs is 'One row per call of haven load or haven run.';
comment on column ops.runs.raw_schemas is 'What the run may write: nobody else does meanwhile.';
comment on column ops.runs.loading_from is
'Loads of this run with ids from here on may still commit; null when it loads nothing any more.';
comment on table ops.table_loads is 'One row per load of one table; an ok row commits together with its data.';
comment on table ops.circuit_breakers is 'Sources whose last runs could not reach them, and when they are tried again.';
comment on table ops.watermarks is 'How far the source of each raw table has been read.';
comment on column ops.watermarks.watermark is
'No row up to it can still appear in the source; null while the first transactions that might write one are open.';
comment on column ops.watermarks.watermark_type is
'The column''s type when the mark was set; null if unknown. A mark of another type says nothing.';
comment on column ops.watermarks.candidates is
'Marks that are safe once the transactions they name have ended (docs/decisions/0020).';
comment on table ops.schema_changes is
'Changes of the source''s columns that raw followed, each noted once, in the transaction of the load that met it.';
comment on column ops.schema_changes.old_type is 'Type in raw before; null for an added column.';
comment on column ops.schema_changes.raw_type is 'Type in raw from then on; null for a dropped column, which stays as it was.';
comment on column ops.schema_changes.is_backfill_advised is
'Rows loaded before lack the column''s values until a full load.';
comment on column ops.schema_changes.backfilled_at is 'When a full load has filled it.';

create table if not exists ops.reconciliations (
    reconciliation_id bigint generated always as identity primary key,
    run_id text not null,
    source_name text not null,
    table_name text not null,
    raw_schema text not null,
    raw_table text not null,
    status text not null,
    started_at timestamptz not null,
    finished_at timestamptz not null,
    source_rows bigint not null,
    raw_rows bigint not null,
    missing_rows bigint not null,
    extra_rows bigint not null,
    different_rows bigint not null,
    pending_rows bigint not null,
    match_pct numeric(9, 6),
    column_differences jsonb not null,
    lacking_columns jsonb not null,
    key_columns jsonb not null,
    sample_keys jsonb not null,
    error text
);

alter table ops.reconciliations drop constraint if exists reconciliations_status_check;
alter table ops.reconciliations add constraint reconciliations_status_check
check (status in ('ok', 'not_followed', 'unstable', 'different', 'failed'));

create index if not exists reconciliations_by_table
on ops.reconciliations (source_name, table_name, reconciliation_id);

comment on table ops.reconciliations is
'One row per comparison of one table of raw with its source: haven reconcile, haven run.';
comment on column ops.reconciliations.missing_rows is 'Rows of the source that raw lacks.';
comment on column ops.reconciliations.extra_rows is 'Live rows of raw that the source lacks.';
comment on column ops.reconciliations.different_rows is 'Keys that both have, with different columns.';
comment on column ops.reconciliations.pending_rows is
'Rows that changed in the source after the last load; no error.';
comment on column ops.reconciliations.match_pct is
'Share of equal keys in percent, rounded down; pending keys left out. Null if the table could not be compared.';
comment on column ops.reconciliations.column_differences is 'Differing keys by column, among those named.';
comment on column ops.reconciliations.lacking_columns is 'Columns of the source that raw does not have yet.';
comment on column ops.reconciliations.sample_keys is 'The first differing keys, with kind and columns.';

-- Results of dbt's runs, written by dbt (macros/results), which owns nothing here: the columns are those of the source
-- `results` in models/quality/_quality__sources.yml.
create table if not exists ops.node_results (
    run_id text,
    invocation_id text,
    command text,
    node_id text,
    node_name text,
    kind text,
    package_name text,
    model_name text,
    column_name text,
    layer text,
    rule text,
    description text,
    path text,
    severity text,
    owner text,
    tags jsonb,
    status text,
    failures bigint,
    rows_affected bigint,
    seconds double precision,
    message text,
    failures_schema text,
    failures_table text,
    failing_rows jsonb,
    finished_at timestamptz,
    recorded_at timestamptz
);

create index if not exists node_results_by_node on ops.node_results (node_id, recorded_at);
create index if not exists node_results_by_run on ops.node_results (run_id);

comment on table ops.node_results is 'One row per node and run of dbt: what became of it.';

do $$
begin
    if to_regrole('haven_transformer') is not null then
        grant select, insert, update, delete on ops.node_results to haven_transformer;
    end if;
end
$$;

alter table ops.table_loads drop constraint if exists table_loads_mode_check;
alter table ops.table_loads add constraint table_loads_mode_check
check (mode in ('first', 'full', 'incremental', 'backfill', 'repair'));

-- Views that read the named columns of a table, and the views on those; a view comes after all that it reads.
create or replace function ops.dependent_views(relation regclass, column_names text[])
returns table (view regclass, depth bigint)
language sql stable
set search_path to pg_catalog, pg_temp
as $$
    with recursive reads as (
        select distinct
            pg_rewrite.ev_class as reader, pg_depend.refobjid as readee, pg_depend.refobjsubid as attnum
        from pg_depend
        inner join pg_rewrite on pg_depend.objid = pg_rewrite.oid
        where pg_depend.classid = 'pg_rewrite'::regclass and pg_depend.refclassid = 'pg_class'::regclass
            and pg_depend.refobjid <> pg_rewrite.ev_class
    ),
    found as (
        select reads.reader, 1::bigint as depth
        from reads
        inner join pg_attribute
            on reads.readee = pg_attribute.attrelid and reads.attnum = pg_attribute.attnum
        where reads.readee = relation and pg_attribute.attname = any(column_names)
        union
        select reads.reader, found.depth + 1
        from found
        inner join reads on found.reader = reads.readee
        where found.depth < 100 -- views can be made to read each other; nobody can read such a view
    )
    select found.reader::regclass, max(found.depth)
    from found
    group by found.reader
$$;

-- The statements that make a view as it is: definition and options, comments, grants, owner.
create or replace function ops.view_ddl(view regclass)
returns text[]
language sql stable
set search_path to pg_catalog, pg_temp
as $$
    with self as (
        select pg_class.*
        from pg_class
        where pg_class.oid = view
    ),
    granted as (
        select null::name as attname, acl.*
        from self
        cross join lateral aclexplode(self.relacl) as acl
        where acl.grantee <> self.relowner
        union all
        select pg_attribute.attname, acl.*
        from pg_attribute
        cross join lateral aclexplode(pg_attribute.attacl) as acl
        where pg_attribute.attrelid = view
    ),
    statements (position, statement) as (
        select
            1,
            format(
                'create view %s%s as %s', view,
                ' with (' || array_to_string(self.reloptions, ', ') || ')', pg_get_viewdef(view)
            )
        from self
        union all
        -- What default privileges give to a new view, the old one may not have had.
        select distinct
            2,
            format(
                'revoke all on %s from %s', view,
                case acl.grantee when 0 then 'public' else acl.grantee::regrole::text end
            )
        from self
        inner join pg_default_acl on pg_default_acl.defaclnamespace in (0, self.relnamespace)
        inner join pg_roles on pg_default_acl.defaclrole = pg_roles.oid
        cross join lateral aclexplode(pg_default_acl.defaclacl) as acl
        where pg_roles.rolname = current_user and pg_default_acl.defaclobjtype = 'r'
            and acl.grantee <> pg_roles.oid
        union all
        select
            3,
            format(
                'grant %s%s on %s to %s%s', granted.privilege_type,
                ' (' || quote_ident(granted.attname) || ')', view,
                case granted.grantee when 0 then 'public' else granted.grantee::regrole::text end,
                case when granted.is_grantable then ' with grant option' end
            )
        from granted
        union all
        select 4, format('comment on view %s is %L', view, pg_description.description)
        from pg_description
        where pg_description.objoid = view and pg_description.classoid = 'pg_class'::regclass
            and pg_description.objsubid = 0
        union all
        select
            4,
            format(
                'comment on column %s.%I is %L', view, pg_attribute.attname,
                pg_description.description
            )
        from pg_description
        inner join pg_attribute
            on pg_description.objoid = pg_attribute.attrelid
            and pg_description.objsubid = pg_attribute.attnum
        where pg_description.objoid = view and pg_description.classoid = 'pg_class'::regclass
        union all
        select 5, format('alter view %s owner to %s', view, self.relowner::regrole)
        from self
        where self.relowner::regrole::text <> quote_ident(current_user)
    )
    select array_agg(statements.statement order by statements.position, statements.statement)
    from statements
$$;

-- Changes columns' types and makes the views that read them again, all or nothing. A value that a lossy change cannot
-- carry becomes null; the load that follows compares every row with the source. Readers wait, and go on with the new
-- views. Outer views are locked first, as a reader locks them, so that the two cannot block each other.
drop function if exists ops.change_column_types(regclass, text[], text[]);
create or replace function ops.change_column_types(
    relation regclass, column_names text[], new_types text[], is_lossy boolean[]
)
returns void
language plpgsql
set search_path to pg_catalog, pg_temp
as $$
declare
    found record;
    names text[] := '{}';
    statements text[] := '{}';
    statement text;
begin
    for found in
        select
            dependent.view::text as name, pg_class.relkind, ops.view_ddl(dependent.view) as ddl,
            exists (select from pg_trigger where pg_trigger.tgrelid = pg_class.oid)
            or exists (select from pg_attrdef where pg_attrdef.adrelid = pg_class.oid)
            or exists (
                select from pg_rewrite
                where pg_rewrite.ev_class = pg_class.oid and pg_rewrite.rulename <> '_RETURN'
            ) as is_more_than_a_view
        from ops.dependent_views(relation, column_names) as dependent
        inner join pg_class on dependent.view = pg_class.oid
        order by dependent.depth, dependent.view
    loop
        if found.relkind <> 'v' or found.is_more_than_a_view then
            raise exception using
                errcode = 'dependent_objects_still_exist',
                message = format(
                    '%s of %s changed its type, and %s, %s, reads it: drop that, load again, then make '
                    'it again', array_to_string(column_names, ', '), relation, found.name,
                    case found.relkind
                        when 'm' then 'a materialized view'
                        when 'v' then 'a view with triggers, rules or defaults'
                        else 'a table with a rule'
                    end
                );
        end if;
        names := names || found.name;
        statements := statements || found.ddl;
    end loop;
    for i in reverse cardinality(names)..1 loop
        begin
            execute format('drop view %s', names[i]);
        exception when dependent_objects_still_exist or insufficient_privilege then
            get stacked diagnostics statement = pg_exception_detail;
            raise exception using
                errcode = sqlstate,
                message = format(
                    '%s of %s changed its type, and view %s that reads it cannot be made again: %s',
                    array_to_string(column_names, ', '), relation, names[i],
                    coalesce(nullif(statement, ''), sqlerrm)
                );
        end;
    end loop;
    execute format('alter table %s ', relation) || (
        select string_agg(
            case when changed.is_lossy
                then format(
                    'alter column %1$I drop not null, alter column %1$I type %2$s using '
                    'case when pg_input_is_valid(%1$I::text, %3$L) then %1$I::text::%2$s end',
                    changed.name, changed.type, changed.type
                )
                else format('alter column %1$I type %2$s using %1$I::%2$s', changed.name, changed.type)
            end,
            ', '
        )
        from unnest(column_names, new_types, is_lossy) as changed (name, type, is_lossy)
    );
    foreach statement in array statements loop
        begin
            execute statement;
        exception when others then
            raise exception using
                errcode = sqlstate,
                message = format(
                    '%s of %s changed its type, and a view that reads it cannot be made again: %s (%s)',
                    array_to_string(column_names, ', '), relation, sqlerrm,
                    split_part(statement, e'\n', 1)
                );
        end;
    end loop;
end
$$;

-- Gives a raw table another primary key, or none. Tombstones that a row of the same key has replaced go; where `is_lossy`,
-- so do rows that the key cannot hold: the load that follows compares every row with the source.
create or replace function ops.change_key(relation regclass, key_columns text[], is_lossy boolean)
returns void
language plpgsql
set search_path to pg_catalog, pg_temp
as $$
declare
    old_key name := (
        select conname from pg_constraint where conrelid = relation and contype = 'p'
    );
    columns text := (
        select string_agg(quote_ident(names.name), ', ' order by names.position)
        from unnest(key_columns) with ordinality as names (name, position)
    );
begin
    if old_key is not null then
        execute format('alter table %s drop constraint %I', relation, old_key);
    end if;
    if columns is null then
        return;
    end if;
    execute format(
        'delete from %1$s as target using ('
        'select ctid, num_nulls(%2$s) > 0 as is_keyless, row_number() over ('
        'partition by %2$s order by (_deleted_at is null) desc, _load_id desc, ctid desc) as copy '
        'from %1$s) as ranked where target.ctid = ranked.ctid and (ranked.copy > 1 or ranked.is_keyless) '
        'and (target._deleted_at is not null or %3$L)', relation, columns, is_lossy
    );
    execute format('alter table %s add primary key (%s)', relation, columns);
end
$$;

-- People whose data was erased, as salted hashes of their keys: the loader reads their personal columns as nulls, so
-- no load, comparison or repair brings them back.
create table if not exists ops.suppressions (
    person_kind text not null,
    key_hash text not null,
    salt text not null,
    suppressed_at timestamptz not null default now(),
    primary key (person_kind, key_hash)
);

create table if not exists ops.erasures (
    erasure_id bigint generated always as identity primary key,
    person_kind text not null,
    key_hash text not null,
    run_id text not null,
    erased_by name not null default session_user,
    erased_at timestamptz not null default now(),
    changed_rows jsonb not null,
    removed_files integer not null default 0,
    open_tasks jsonb not null
);

comment on table ops.suppressions is 'People whose personal columns the loader reads as nulls.';
comment on table ops.erasures is 'One row per erasure: what was changed where; nothing about the person.';
comment on column ops.erasures.changed_rows is 'Rows changed, by table.';
comment on column ops.erasures.open_tasks is 'What a person still has to do, such as backups made before.';

-- How far each table''s retention has gone: the loader leaves older rows of the source alone.
create table if not exists ops.retentions (
    schema_name text not null,
    table_name text not null,
    column_name text not null,
    kept_from timestamptz not null,
    changed_rows bigint not null,
    applied_by name not null default session_user,
    applied_at timestamptz not null default now()
);

create index if not exists retentions_by_table on ops.retentions (schema_name, table_name, kept_from);

comment on table ops.retentions is 'One row per table and call of haven retain that changed something.';

-- What models in a developer's schemas ask of the runner (runner/access/roles.sql).
do $$
begin
    if to_regrole('haven_developer') is not null then
        grant select (status, loading_from) on ops.runs to haven_developer;
        grant select on ops.reconciliations to haven_developer;
    end if;
end
$$;
