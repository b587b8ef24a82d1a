-- What the demo itself needs, in its own schema: its state, its dice, its words.
-- Every random choice is a hash of the row's id, a word that names the choice, and the seed: no
-- random(), no now(), so neither the plan nor the number of workers can change a row.

create schema haven_demo;

comment on schema haven_demo is 'Haven''s own: what the demo needs to let days pass.';

create table haven_demo.state (
    seed bigint not null,
    scale double precision not null,
    today date not null,
    tick_number integer not null,
    planted jsonb not null
);

insert into haven_demo.state
select
    current_setting('haven_demo.seed')::bigint as seed,
    current_setting('haven_demo.scale')::double precision as scale,
    '2026-06-30'::date as today,
    0 as tick_number,
    '{}'::jsonb as planted;

-- Rows that were made faulty on purpose: a tick leaves them alone, so their numbers stay true.
-- row_id is the id of the order for orders_without_payment, payments_amount_mismatch and
-- late_payments, of the payment for payments_without_order, and else of the row itself.
create table haven_demo.marks (
    kind text not null,
    row_id bigint not null,
    primary key (kind, row_id)
);

-- The marketplace forgets old prices; the demo does not, to price late rows as of their time.
create table haven_demo.price_changes (
    product_id bigint not null,
    changed_at timestamptz not null,
    old_price numeric(12, 2) not null,
    new_price numeric(12, 2) not null,
    primary key (product_id, changed_at)
);

-- Deleted reviews, to bring one back exactly as it was.
create table haven_demo.deleted_reviews (
    like reviews,
    tick_number integer not null
);

-- Uniform in [0, 1): 53 bits of a hash. The seed is written into the body: a constant can be
-- folded, a look-up per row could not.
do $$
begin
    execute format(
        $function$
        create function haven_demo.uniform(id bigint, salt text, turn bigint default 0)
        returns double precision
        language sql immutable parallel safe
        return (
            hashint8extended(id, hashtextextended(salt, %L::bigint) # turn) & 9007199254740991
        )::double precision / 9007199254740992
        $function$,
        (select seed from haven_demo.state)
    );
end
$$;

create function haven_demo.pick(words text[], id bigint, salt text)
returns text
language sql immutable parallel safe
return words[1 + floor(haven_demo.uniform(id, salt) * cardinality(words))::integer];

-- A time of day as seconds after midnight UTC: quiet at American night, busy in the evening, and
-- never in the last 15 minutes, so that what follows within minutes is on the same day.
create function haven_demo.time_of_day(id bigint, salt text, turn bigint default 0)
returns interval
language sql immutable parallel safe
return make_interval(
    secs => (
        25200 + floor(
            42750 * (
                haven_demo.uniform(id, salt || ' hour', turn)
                + haven_demo.uniform(id, salt || ' second', turn)
            )
        )::integer
    ) % 85500
);

-- When the row at a position in [0, 1) came: a part in the week of the launch, the rest faster and
-- faster over the two years.
create function haven_demo.arrived_at(place double precision, launch_share double precision)
returns timestamptz
language sql stable parallel safe
return '2024-07-01 00:00:00+00'::timestamptz + make_interval(
    secs => floor(
        case
            when place < launch_share then place / launch_share * 518400
            else 518400 + power((place - launch_share) / (1 - launch_share), 0.8) * 62400000
        end
    )
);

-- How often a row is chosen next to others: 1 for most, up to 80 for a few.
create function haven_demo.popularity(id bigint, salt text)
returns integer
language sql immutable parallel safe
return least(80, floor(power(1 - haven_demo.uniform(id, salt), -0.77)))::integer;

-- Customers who never do anything, and products never published: nothing refers to them.
create function haven_demo.is_dormant(id bigint)
returns boolean
language sql immutable parallel safe
return id % 8 = 5;

create function haven_demo.currency_of(vendor_id bigint)
returns text
language sql immutable parallel safe
return case vendor_id % 20
    when 2 then 'EUR' when 11 then 'EUR' when 3 then 'GBP' else 'USD'
end;

create function haven_demo.pick_currency(id bigint)
returns text
language sql immutable parallel safe
return case
    when haven_demo.uniform(id, 'currency') < 0.05 then 'GBP'
    when haven_demo.uniform(id, 'currency') < 0.14 then 'EUR'
    else 'USD'
end;
