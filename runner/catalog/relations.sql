-- `pieces` is everything whose rows a table has: itself, partitions, children, and what a view reads. A piece that is
-- rewritten, emptied, swapped or made again has another oid or another filenode; a view has its definition instead.
-- Nothing here waits for a locked table but the function that measures one, which leaves those out that it can see.
with recursive
wanted as (
    select named.number, pg_class.oid, pg_class.oid as piece
    -- As names, which PostgreSQL cuts at 63 bytes.
    from unnest(%(schemas)s::name[], %(tables)s::name[]) with ordinality
        as named (schema_name, table_name, number)
    inner join pg_namespace on named.schema_name = pg_namespace.nspname
    inner join pg_class
        on pg_namespace.oid = pg_class.relnamespace and named.table_name = pg_class.relname
    where pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
),
pieces as (
    select oid, piece from wanted
    union
    select pieces.oid, beneath.oid
    from pieces
    cross join lateral (
        select pg_inherits.inhrelid as oid
        from pg_inherits
        where pg_inherits.inhparent = pieces.piece
        union all
        select pg_depend.refobjid
        from pg_rewrite
        inner join pg_class as self on pg_rewrite.ev_class = self.oid and self.relkind = 'v'
        inner join pg_depend
            on pg_rewrite.oid = pg_depend.objid and pg_depend.classid = 'pg_rewrite'::regclass
            and pg_depend.refclassid = 'pg_class'::regclass and pg_depend.refobjid <> self.oid
        where pg_rewrite.ev_class = pieces.piece
    ) as beneath
),
locked as materialized (
    select distinct relation
    from pg_locks
    where locktype = 'relation' and mode = 'AccessExclusiveLock' and pid <> pg_backend_pid()
        and %(is_sized)s
),
described as (
    select
        pieces.oid, leaf.oid as piece, leaf.relkind,
        case leaf.relkind
            when 'v' then (
                select md5(pg_rewrite.ev_action::text) from pg_rewrite
                where pg_rewrite.ev_class = leaf.oid and pg_rewrite.rulename = '_RETURN'
            )
            when 'f' then (
                select md5(row(pg_foreign_table.ftoptions, pg_foreign_server.oid, pg_foreign_server.srvoptions)::text)
                from pg_foreign_table
                inner join pg_foreign_server on pg_foreign_table.ftserver = pg_foreign_server.oid
                where pg_foreign_table.ftrelid = leaf.oid
            )
            else pg_relation_filenode(leaf.oid)::text
        end as filenode,
        greatest(leaf.reltuples, 0)::bigint as row_count,
        case
            when leaf.relkind not in ('r', 'm', 'p') then 0
            when %(is_sized)s and leaf.oid not in (select relation from locked)
                then coalesce(pg_total_relation_size(leaf.oid), 0)
            else leaf.relpages::bigint * current_setting('block_size')::bigint
        end as bytes
    from pieces
    inner join pg_class as leaf on pieces.piece = leaf.oid
),
summed as (
    select
        oid,
        case
            when count(*) = 1 then min(filenode)
            else md5(string_agg(piece::text || ' ' || coalesce(filenode, ''), ',' order by piece))
        end as storage,
        sum(row_count) filter (where relkind <> 'v')::bigint as row_count,
        sum(bytes) filter (where relkind <> 'v')::bigint as bytes
    from described
    group by oid
)
select
    wanted.number - 1, pg_class.oid::bigint,
    case pg_class.relkind
        when 'p' then 'partitioned table' when 'v' then 'view'
        when 'm' then 'materialized view' when 'f' then 'foreign table' else 'table'
    end,
    array(
        select pg_attribute.attname::text
        from pg_index
        cross join lateral unnest(pg_index.indkey) with ordinality as keys (attnum, position)
        inner join pg_attribute
            on pg_index.indrelid = pg_attribute.attrelid and keys.attnum = pg_attribute.attnum
        where pg_index.indrelid = pg_class.oid and pg_index.indisprimary
            and keys.position <= pg_index.indnkeyatts
        order by keys.position
    ),
    coalesce(
        (
            select jsonb_agg(
                (
                    select jsonb_agg(pg_attribute.attname)
                    from pg_attribute
                    where pg_attribute.attrelid = pg_index.indrelid
                        and pg_attribute.attnum = any((pg_index.indkey::int2[])[:pg_index.indnkeyatts - 1])
                )
            )
            from pg_index
            where pg_index.indrelid = pg_class.oid and pg_index.indisunique and pg_index.indisvalid
                and pg_index.indpred is null and pg_index.indexprs is null
        ),
        '[]'
    ),
    row_security_active(pg_class.oid),
    pg_class.relispopulated,
    coalesce(summed.storage, ''),
    case pg_class.relkind when 'v' then 0 else coalesce(summed.row_count, 0) end,
    case pg_class.relkind when 'v' then 0 else coalesce(summed.bytes, 0) end
from wanted
inner join summed on wanted.oid = summed.oid
inner join pg_class on wanted.oid = pg_class.oid
