-- For `haven discover`: one row for each schema of users, with its tables and views as JSON if it
-- is among those asked for (all, if `schemas` is null): how each is best loaded, with the reason in
-- words, its key, columns, foreign keys and volumes. Reads the catalog and the statistics only: no
-- row of a table, and no lock on one.
with recursive options as (
    select
        %(schemas)s::text[] as schemas,
        %(reserved)s::text[] as reserved,
        %(most_columns)s::integer as most_columns
),

relations as (
    select
        pg_class.oid,
        pg_namespace.nspname as schema_name,
        pg_class.relname as table_name,
        pg_class.relkind,
        format('%%I.%%I', pg_namespace.nspname, pg_class.relname) as quoted,
        case pg_class.relkind
            when 'p' then 'partitioned table' when 'v' then 'view'
            when 'm' then 'materialized view' when 'f' then 'foreign table' else 'table'
        end as kind,
        case
            when not has_schema_privilege(pg_namespace.oid, 'usage')
                then format(
                    'cannot be read: grant usage on schema %%I to %%I',
                    pg_namespace.nspname, current_user
                )
            when not has_any_column_privilege(pg_class.oid, 'select')
                then format(
                    'cannot be read: grant select on %%I.%%I to %%I',
                    pg_namespace.nspname, pg_class.relname, current_user
                )
            when row_security_active(pg_class.oid)
                then
                    'row-level security hides rows: grant the role BYPASSRLS, '
                    'or load a view whose owner sees all'
            when not pg_class.relispopulated
                then format(
                    'was never filled: refresh materialized view %%I.%%I',
                    pg_namespace.nspname, pg_class.relname
                )
        end as problem
    from pg_class
    inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
    cross join options
    where
        pg_class.relkind in ('r', 'p', 'v', 'm', 'f')
        and not pg_class.relispartition -- its rows are those of its parent
        and pg_namespace.nspname <> 'information_schema'
        and pg_namespace.nspname !~ '^pg_'
        and (
            pg_namespace.nspname = any(options.schemas)
            -- What Haven keeps for itself in a source (the demo does) says so, and is read only if it is named.
            or options.schemas is null
            and coalesce(obj_description(pg_namespace.oid, 'pg_namespace'), '') !~ '^Haven''s own'
        )
        and not exists (
            select 1 from pg_depend
            where
                pg_depend.classid = 'pg_class'::regclass
                and pg_depend.objid = pg_class.oid
                and pg_depend.deptype = 'e' -- what an extension brought along
        )
),

attributes as (
    select
        relations.oid as table_id,
        relations.quoted,
        pg_attribute.attnum,
        pg_attribute.attname,
        format_type(pg_attribute.atttypid, null) as type_name,
        pg_attribute.attgenerated,
        -- updatedAt is taken for updated_at
        lower(regexp_replace(pg_attribute.attname, '([a-z0-9])([A-Z])', '\1_\2', 'g')) as words,
        -- a view and a foreign table promise nothing
        pg_attribute.attnotnull and relations.relkind in ('r', 'p') as is_not_null,
        case
            when pg_attribute.attname = any(options.reserved)
                then 'a name that raw keeps for itself'
            when not has_column_privilege(relations.oid, pg_attribute.attnum, 'select')
                then format(
                    'cannot be read: grant select (%%I) on %%s to %%I',
                    pg_attribute.attname, relations.quoted, current_user
                )
        end as problem
    from relations
    inner join pg_attribute on relations.oid = pg_attribute.attrelid
    cross join options
    where pg_attribute.attnum > 0 and not pg_attribute.attisdropped
),

index_columns as (
    select
        pg_index.indrelid as table_id,
        pg_index.indexrelid,
        index_class.relname as index_name,
        pg_am.amname in ('btree', 'brin') as is_ordered,
        pg_index.indisprimary as is_primary,
        pg_index.indisunique as is_unique,
        members.position,
        attributes.attnum,
        attributes.attname,
        attributes.problem,
        attributes.is_not_null
    from pg_index
    inner join pg_class as index_class on pg_index.indexrelid = index_class.oid
    inner join pg_am on index_class.relam = pg_am.oid
    cross join lateral
        unnest(pg_index.indkey::int2[]) with ordinality as members (attnum, position)
    inner join attributes
        on pg_index.indrelid = attributes.table_id and members.attnum = attributes.attnum
    where
        pg_index.indisvalid
        and pg_index.indpred is null
        and pg_index.indexprs is null
        and members.position <= pg_index.indnkeyatts
),

unique_indexes as (
    select
        table_id,
        index_name,
        is_primary,
        array_agg(attname order by position) as column_names,
        string_agg(attname, ', ' order by position)
        filter (where problem is not null) as shut_columns,
        bool_and(is_not_null) as is_key
    from index_columns
    where is_unique
    group by table_id, indexrelid, index_name, is_primary
),

-- The primary key, else the shortest unique index without nulls.
keys as (
    select distinct on (table_id)
        table_id,
        column_names,
        case
            when is_primary then 'the primary key'
            else 'unique index ' || index_name || ', without nulls'
        end as reason
    from unique_indexes
    where is_key and shut_columns is null
    order by table_id asc, is_primary desc, cardinality(column_names) asc, index_name asc
),

-- Columns of times that, by the whole of their name, say when the row (not a part of it) was
-- changed or made.
times as (
    select
        attributes.*,
        attributes.words ~ (
            '^(row_|record_)?(last_?)?'
            '(updated?|modified|modify|modification|changed?|edited|write|mod)'
            '_?(at|on|date|time|datetime|ts|timestamp|utc)$'
            '|^(date|time|timestamp|ts)_(last_)?(updated|modified|changed)$'
            '|^(row_)?(last_?)?(updated|modified|changed)$'
            '|^last_?(update|change|modification)$|^m_?time$'
        ) as is_changed_at,
        attributes.words ~ (
            '^(row_|record_)?(created?|creation|inserted|insert|recorded|logged|added)'
            '_?(at|on|date|time|datetime|ts|timestamp|utc)$'
            '|^(date|time|timestamp|ts)_(created|inserted|added|recorded)$|^(created|inserted)$'
        ) as is_made_at,
        (
            select min(index_columns.index_name)
            from index_columns
            where
                index_columns.table_id = attributes.table_id
                and index_columns.attnum = attributes.attnum
                and index_columns.position = 1
                and index_columns.is_ordered
        ) as index_name
    from attributes
    where
        attributes.type_name in (
            'timestamp with time zone', 'timestamp without time zone', 'date'
        )
        and attributes.problem is null
),

watermarks as (
    select distinct on (table_id) *
    from times
    where is_changed_at
    order by
        table_id asc, is_not_null desc, type_name = 'date' asc, index_name is null asc, attnum asc
),

made as (
    select distinct on (table_id) *
    from times
    where is_made_at
    order by
        table_id asc, is_not_null desc, type_name = 'date' asc, index_name is null asc, attnum asc
),

-- Where the rows are: the table itself, its partitions and children.
pieces as (
    select
        relations.oid as table_id,
        relations.oid as piece
    from relations
    union
    select
        pieces.table_id,
        pg_inherits.inhrelid
    from pieces
    inner join pg_inherits on pieces.piece = pg_inherits.inhparent
),

volumes as (
    select
        pieces.table_id,
        sum(greatest(pg_class.reltuples, 0)) filter (where pg_class.reltuples >= 0) as row_count,
        sum(pg_stat_get_tuples_inserted(pg_class.oid)) as inserted,
        sum(pg_stat_get_tuples_updated(pg_class.oid)) as updated,
        sum(pg_stat_get_tuples_deleted(pg_class.oid)) as deleted
    from pieces
    inner join pg_class on pieces.piece = pg_class.oid
    where pg_class.relkind in ('r', 'm')
    group by pieces.table_id
),

-- Of that column only: other histograms hold no times.
histograms as materialized (
    select distinct on (made.table_id)
        made.table_id,
        made.attname,
        pg_stats.null_frac,
        pg_stats.histogram_bounds::text::text[] as moments
    from made
    inner join relations on made.table_id = relations.oid
    inner join pg_stats
        on
            relations.schema_name = pg_stats.schemaname
            and relations.table_name = pg_stats.tablename
            and made.attname = pg_stats.attname
    order by made.table_id asc, pg_stats.inherited desc
),

bounds as (
    select
        table_id,
        attname,
        null_frac,
        moments[cardinality(moments)]::timestamptz as latest,
        moments[1 + (cardinality(moments) - 1) * 9 / 10]::timestamptz as earlier
    from histograms
),

-- How long the newest tenth of the rows took to come, by the histogram that ANALYZE made of their
-- creation.
growth as (
    select
        table_id,
        attname,
        (1 - null_frac) * 0.1 as fraction,
        extract(epoch from latest - earlier) / 86400 as day_count
    from bounds
    where isfinite(latest) and isfinite(earlier) and latest > earlier
),

foreign_keys as (
    select
        pg_constraint.conrelid as table_id,
        pg_constraint.conname,
        pg_constraint.convalidated as is_valid,
        exists (
            select 1 from attributes
            where
                attributes.table_id = pg_constraint.confrelid
                and attributes.attnum = pg_constraint.confkey[1]
                and attributes.problem is not null
        ) as is_column_shut,
        pg_namespace.nspname as to_schema,
        pg_class.relname as to_table,
        array(
            select pg_attribute.attname
            from unnest(pg_constraint.conkey) with ordinality as members (attnum, position)
            inner join pg_attribute
                on
                    pg_constraint.conrelid = pg_attribute.attrelid
                    and members.attnum = pg_attribute.attnum
            order by members.position
        ) as from_columns,
        array(
            select pg_attribute.attname
            from unnest(pg_constraint.confkey) with ordinality as members (attnum, position)
            inner join pg_attribute
                on
                    pg_constraint.confrelid = pg_attribute.attrelid
                    and members.attnum = pg_attribute.attnum
            order by members.position
        ) as to_columns
    from pg_constraint
    inner join pg_class on pg_constraint.confrelid = pg_class.oid
    inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
    where
        pg_constraint.contype = 'f'
        and pg_constraint.conparentid = 0 -- not those that PostgreSQL makes for each partition
        and pg_constraint.conrelid in (select relations.oid from relations)
),

references_of_columns as (
    select
        table_id,
        from_columns[1] as attname,
        jsonb_agg(
            jsonb_build_object(
                'constraint', conname,
                'is_valid', is_valid,
                'schema', to_schema,
                'table', to_table,
                'to', format('%%I.%%I.%%I', to_schema, to_table, to_columns[1]),
                'field', quote_ident(to_columns[1]),
                'problem', case
                    when is_column_shut then 'which is not loaded'
                    when from_columns[1] || to_columns[1] ~ '[{"]'
                        then 'whose names dbt cannot quote in a test'
                end
            )
            order by conname
        ) as found
    from foreign_keys
    where cardinality(from_columns) = 1
    group by table_id, from_columns[1]
),

references_of_many as (
    select
        table_id,
        jsonb_agg(
            format(
                'foreign key (%%s) to %%I.%%I (%%s): a relationships test takes one column',
                array_to_string(from_columns, ', '),
                to_schema,
                to_table,
                array_to_string(to_columns, ', ')
            )
            order by conname
        ) as notes
    from foreign_keys
    where cardinality(from_columns) > 1
    group by table_id
),

columns_of_tables as (
    select
        attributes.table_id,
        count(*) filter (where attributes.problem is null) as loaded_columns,
        jsonb_agg(
            jsonb_build_object(
                'name', attributes.attname,
                'is_quoted', quote_ident(attributes.attname) <> attributes.attname,
                'description', col_description(attributes.table_id, attributes.attnum),
                'is_generated', attributes.attgenerated <> '',
                'source_type', attributes.type_name,
                'problem', attributes.problem,
                'references', coalesce(references_of_columns.found, '[]')
            )
            order by attributes.attnum
        ) as found
    from attributes
    left join references_of_columns
        on
            attributes.table_id = references_of_columns.table_id
            and attributes.attname = references_of_columns.attname
    group by attributes.table_id
),

statistics as (
    select
        case
            when stats_reset is null then 'since its statistics began'
            else 'since ' || stats_reset::date
        end as since
    from pg_stat_database
    where datname = current_database()
),

described as (
    select
        relations.schema_name,
        jsonb_build_object(
            'schema', relations.schema_name,
            'table', relations.table_name,
            'kind', relations.kind,
            'description', obj_description(relations.oid, 'pg_class'),
            'rows', volumes.row_count::bigint,
            'notes', jsonb_path_query_array(
                jsonb_build_array(
                    case
                        when volumes.inserted + volumes.updated + volumes.deleted > 0
                            then format(
                                '%%s rows inserted, %%s updated, %%s deleted %%s',
                                to_char(volumes.inserted, 'fm999,999,999,999,990'),
                                to_char(volumes.updated, 'fm999,999,999,999,990'),
                                to_char(volumes.deleted, 'fm999,999,999,999,990'),
                                statistics.since
                            )
                    end,
                    case
                        when volumes.row_count * growth.fraction / growth.day_count >= 1
                            then format(
                                'grows by about %%s rows a day of late, by %%s',
                                to_char(
                                    volumes.row_count * growth.fraction / growth.day_count,
                                    'fm999,999,999,999,990'
                                ),
                                growth.attname
                            )
                    end
                )
                || coalesce(references_of_many.notes, '[]'),
                '$[*] ? (@ != null)'
            ),
            'problem', coalesce(
                relations.problem,
                case
                    when columns_of_tables.found is null then 'has no column'
                    when columns_of_tables.loaded_columns = 0
                        then 'has no column that can be loaded'
                    when columns_of_tables.loaded_columns > options.most_columns
                        then format(
                            'has more columns than the %%s that raw can hold: leave some out',
                            options.most_columns
                        )
                    when keys.table_id is null and shut_keys.shut_columns is not null
                        then format('its key (%%s) cannot be loaded', shut_keys.shut_columns)
                end
            ),
            'strategy', case
                when keys.table_id is not null and watermarks.table_id is not null
                    then 'incremental'
                else 'full'
            end,
            'strategy_reason', case
                when keys.table_id is null and watermarks.table_id is not null
                    then format(
                        'a %%s without a key; with one, %%s could be the watermark',
                        relations.kind, watermarks.attname
                    )
                when keys.table_id is null then format('a %%s without a key', relations.kind)
                when watermarks.table_id is not null
                    then watermarks.attname || ' says, by its name, when a row last changed'
                when made.table_id is not null
                    then format(
                        '%%s says when a row was made, not when it changed: '
                        'if rows never change, incremental by it is quicker',
                        made.attname
                    )
                else 'no column says when a row last changed'
            end,
            'primary_key', to_jsonb(keys.column_names),
            'key_reason', keys.reason,
            'watermark', case when keys.table_id is not null then watermarks.attname end,
            'watermark_reason', concat_ws(
                '; ',
                coalesce(
                    'index ' || watermarks.index_name,
                    'no index: each load looks at all rows; create index on '
                    || relations.quoted || ' (' || quote_ident(watermarks.attname) || ')'
                ),
                case
                    when not watermarks.is_not_null then 'rows where it is null are read each time'
                end,
                case
                    when watermarks.type_name <> 'timestamp with time zone'
                        then 'set watermark_timezone if it is not the local time of sessions'
                end
            ),
            'columns', coalesce(columns_of_tables.found, '[]')
        ) as found
    from relations
    cross join statistics
    cross join options
    left join columns_of_tables on relations.oid = columns_of_tables.table_id
    left join keys on relations.oid = keys.table_id
    left join unique_indexes as shut_keys
        on relations.oid = shut_keys.table_id and shut_keys.is_primary
    left join watermarks on relations.oid = watermarks.table_id
    left join made on relations.oid = made.table_id
    left join volumes on relations.oid = volumes.table_id
    left join growth on relations.oid = growth.table_id
    left join references_of_many on relations.oid = references_of_many.table_id
)

select
    pg_namespace.nspname,
    coalesce(
        jsonb_agg(described.found order by described.found ->> 'table')
        filter (where described.found is not null),
        '[]'
    ) as table_list
from pg_namespace
left join described on pg_namespace.nspname = described.schema_name
where pg_namespace.nspname <> 'information_schema' and pg_namespace.nspname !~ '^pg_'
group by pg_namespace.nspname
order by pg_namespace.nspname
