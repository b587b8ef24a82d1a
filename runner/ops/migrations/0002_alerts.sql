-- What `haven alert` has told, what it is asked not to tell, and what the models of alerts look for.
alter table ops.node_results add column if not exists what_to_do text;

-- Few rows say that something is wrong: whoever looks for them need not read the others.
create index if not exists node_results_with_problems on ops.node_results (node_id, recorded_at)
where status in ('warn', 'fail', 'error');

create table if not exists ops.alert_deliveries (
    delivery_id bigint generated always as identity primary key,
    digest_id text not null,
    receiver text not null,
    problem_id text not null,
    state text not null check (state in ('firing', 'reminder', 'resolved')),
    severity text not null,
    status text not null check (status in ('sent', 'failed')),
    error text,
    delivered_at timestamptz not null default now()
);

create index if not exists alert_deliveries_by_problem
on ops.alert_deliveries (receiver, problem_id, delivered_at) where status = 'sent';

comment on table ops.alert_deliveries is 'One row per receiver, digest and problem: what `haven alert` told, or tried to.';
comment on column ops.alert_deliveries.digest_id is 'The message that it was part of.';
comment on column ops.alert_deliveries.error is 'Why it was not delivered; the next call tells it again.';

create table if not exists ops.alert_silences (
    silence_id bigint generated always as identity primary key,
    pattern text not null,
    reason text not null,
    made_by text not null default session_user,
    made_at timestamptz not null default now(),
    ends_at timestamptz not null
);

comment on table ops.alert_silences is 'Problems that nobody is told of for a while.';
comment on column ops.alert_silences.pattern is
'Regular expression; a problem is silent if its id or its subject matches it whole.';

do $$
begin
    if to_regrole('haven_transformer') is not null then
        grant select, insert on ops.alert_deliveries to haven_transformer;
        grant select on ops.alert_silences to haven_transformer;
    end if;
end
$$;
