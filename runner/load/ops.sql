-- The runner's own state. Idempotent: run whenever this file has changed, under an advisory lock. A later column
-- comes as `alter table … add column if not exists`.
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

-- Parts of a huge table that is being loaded for the first time, each committed with its rows.
create table if not exists ops.load_parts (
    load_id bigint not null,
    part_number integer not null,
    rows_copied bigint not null,
    primary key (load_id, part_number)
);

create table if not exists ops.circuit_breakers (
    source text primary key,
    failed_runs integer not null,
    last_failed_at timestamptz not null,
    retry_at timestamptz not null,
    last_error text not null
);

create table if not exists ops.watermarks (
    source_name text not null,
    table_name text not null,
    watermark_column text not null,
    watermark text not null,
    load_id bigint not null,
    updated_at timestamptz not null default now(),
    primary key (source_name, table_name)
);

create table if not exists ops.schema_changes (
    schema_change_id bigint generated always as identity primary key,
    load_id bigint not null,
    source_name text not null,
    table_name text not null,
    column_name text not null,
    change text not null check (change in ('added', 'dropped')),
    raw_type text,
    detected_at timestamptz not null default now()
);

comment on table ops.runs is 'One row per call of haven load or haven run.';
comment on table ops.table_loads is 'One row per load of one table; an ok row commits together with its data.';
comment on table ops.load_parts is 'Parts of first loads under way; empty when no load runs.';
comment on table ops.circuit_breakers is 'Sources whose last runs could not reach them, and when they are tried again.';
comment on table ops.watermarks is 'How far each incremental table has been read.';
comment on table ops.schema_changes is 'Columns that came or went in the source.';

create table if not exists ops.reconciliations (
    reconciliation_id bigint generated always as identity primary key,
    run_id text not null,
    source_name text not null,
    table_name text not null,
    raw_schema text not null,
    raw_table text not null,
    status text not null check (status in ('ok', 'different', 'failed')),
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

alter table ops.table_loads drop constraint if exists table_loads_mode_check;
alter table ops.table_loads add constraint table_loads_mode_check
check (mode in ('first', 'full', 'incremental', 'backfill', 'repair'));
