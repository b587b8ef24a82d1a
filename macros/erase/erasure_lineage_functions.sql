{% macro erasure_lineage_functions() %}
-- Where people are: the project's nodes, and the warehouse's tables that are theirs.

-- What each node is to people of one kind: `place` (the YAML says whose rows they are), `below` (made from places, at any
-- depth) or `other`. `keys` are the columns with a person's key; below, those of the places it is made from. `inputs` are
-- all relations that a node below is made from, each with its keys.
create or replace function pg_temp.lineage(project_nodes jsonb, person_kind text)
returns table (
    schema text, name text, layer text, role text, is_raw boolean, is_ours boolean, keys jsonb, columns jsonb,
    inputs jsonb, kept jsonb, listed jsonb
)
language sql stable
set search_path to pg_catalog, pg_temp
as $$
    with recursive nodes as (
        select node.*, coalesce(node.person = person_kind, false) as is_place
        from jsonb_to_recordset(project_nodes) as node (
            id text, schema text, name text, layer text, is_raw boolean, is_ours boolean, is_test boolean,
            parents jsonb, person text, key text, columns jsonb, kept jsonb, listed jsonb
        )
    ),
    edges as (
        select nodes.id, parents.id as ancestor
        from nodes
        cross join jsonb_array_elements_text(nodes.parents) as parent (id)
        inner join nodes as parents on parent.id = parents.id
    ),
    ancestors as (
        select edges.id, edges.ancestor from edges
        union
        select ancestors.id, edges.ancestor
        from ancestors
        inner join edges on ancestors.ancestor = edges.id
    ),
    keys_below as (
        select ancestors.id, jsonb_agg(distinct places.key) as keys
        from ancestors
        inner join nodes as places on ancestors.ancestor = places.id and places.is_place
        group by ancestors.id
    ),
    known as (
        select
            nodes.*,
            case
                when nodes.is_place then 'place'
                when keys_below.id is not null then 'below'
                else 'other'
            end as role,
            case
                when nodes.is_place then jsonb_build_array(nodes.key)
                else coalesce(keys_below.keys, '[]')
            end as keys
        from nodes
        left join keys_below on nodes.id = keys_below.id
    ),
    inputs as (
        select
            below.id,
            jsonb_object_agg(
                format('%I.%I', input.schema, input.name), input.keys order by input.id
            ) as inputs
        from known as below
        inner join ancestors on below.id = ancestors.id
        inner join known as input on ancestors.ancestor = input.id
        where below.role = 'below'
        group by below.id
    )
    select
        known.schema, known.name, known.layer, known.role, known.is_raw,
        known.is_ours or (known.is_test and known.role = 'below'), known.keys,
        case when known.role = 'place' then known.columns end,
        coalesce(inputs.inputs, '{}'), known.kept, known.listed
    from known
    left join inputs on known.id = inputs.id
$$;

-- The names that columns of raw had before the source renamed them, at any time: what was personal is so still.
create or replace function pg_temp.former_names()
returns table (relid oid, column_name text, old_name text)
language sql
set search_path to pg_catalog, pg_temp
as $$
    with recursive renamed as (
        select to_regclass(format('%I.%I', noted.raw_schema, noted.raw_table))::oid as relid, noted.column_name, noted.old_name
        from jsonb_to_recordset(coalesce(pg_temp.as_owner(
            'ops.schema_changes'::regclass,
            $sql$select jsonb_agg(schema_changes) from ops.schema_changes where change = 'renamed'$sql$
        ), '[]')) as noted (raw_schema text, raw_table text, column_name text, old_name text)
    ),
    former as (
        select renamed.relid, renamed.column_name, renamed.old_name from renamed
        union
        select former.relid, former.column_name, renamed.old_name
        from former
        inner join renamed on former.relid = renamed.relid and former.old_name = renamed.column_name
    )
    select former.relid, former.column_name, former.old_name from former where former.relid is not null
$$;

-- All names that columns of the warehouse have, or had in the source.
create or replace function pg_temp.column_names()
returns setof text
language sql
set search_path to pg_catalog, pg_temp
as $$
    select pg_attribute.attname::text
    from pg_attribute
    inner join pg_class on pg_attribute.attrelid = pg_class.oid
    where pg_attribute.attnum > 0 and not pg_attribute.attisdropped and pg_class.relkind in ('r', 'p', 'm')
        and pg_class.relnamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    union
    select former_names.old_name from pg_temp.former_names()
$$;

-- A table's columns that may hold text, also in JSON, arrays and rows.
create or replace function pg_temp.text_columns(relation oid)
returns name[]
language sql stable
set search_path to pg_catalog, pg_temp
as $$
    select array_agg(pg_attribute.attname order by pg_attribute.attnum)
    from pg_attribute
    inner join pg_type on pg_attribute.atttypid = pg_type.oid
    left join pg_type as elements on pg_type.typelem = elements.oid and pg_type.typcategory = 'A'
    where pg_attribute.attrelid = relation and pg_attribute.attnum > 0 and not pg_attribute.attisdropped
        and (
            coalesce(elements.typcategory, pg_type.typcategory) in ('S', 'C')
            or coalesce(elements.typname, pg_type.typname) in ('json', 'jsonb', 'xml', 'hstore', 'tsvector')
        )
$$;

-- The warehouse's tables and what they are to these people; `role` is null for a table that no node of the project is. A
-- developer's copy (same name, a schema that ends in the layer's) and what models keep of their changes are what the model
-- is. `keys` are columns named as a person's key; `key` is the one by which `columns` may be erased. Below, that is none
-- where an input has a column of that name that is something else: `id` of a review. Columns of a place are those that it
-- really has, personal by the YAML or by a name that they have or had; below, those of the places' names. `doubtful` are
-- columns of which neither says anything, but that hold text (place), or have a personal name of their own (below, but
-- not in failing rows, which are searched and changed).
create or replace function pg_temp.relations(project_nodes jsonb, person_kind text, personal jsonb)
returns table (
    relid oid, label text, role text, is_raw boolean, is_ours boolean, keys name[], key name, columns jsonb,
    doubtful name[]
)
language sql
set search_path to pg_catalog, pg_temp
as $$
    with specs as materialized (
        select lineage.* from pg_temp.lineage(project_nodes, person_kind) as lineage
    ),
    places as (
        select
            (
                select jsonb_agg(distinct key)
                from specs
                cross join jsonb_array_elements(specs.keys) as key
                where specs.role = 'place'
            ) as keys
    ),
    tables as (
        select pg_class.oid, pg_class.relkind, pg_namespace.nspname::text as schema, pg_class.relname::text as name
        from pg_class
        inner join pg_namespace on pg_class.relnamespace = pg_namespace.oid
        where pg_class.relkind in ('r', 'p', 'm') and not pg_class.relispartition
            and pg_class.relpersistence <> 't'
            and pg_namespace.nspname not in ('pg_catalog', 'information_schema')
            and pg_namespace.nspname !~ '^pg_toast'
    ),
    matched as (
        select distinct on (tables.oid)
            tables.*, specs.role, specs.inputs,
            coalesce(specs.is_raw, false) as is_raw,
            coalesce(specs.is_ours, tables.schema = 'ops') as is_ours,
            coalesce(specs.keys, places.keys) as keys,
            specs.columns, specs.kept, specs.listed
        from tables
        cross join places
        left join specs on (
            tables.name = specs.name
            and (
                tables.schema in (specs.schema, specs.layer)
                or right(tables.schema, length(specs.layer) + 1) = '_' || specs.layer
            )
        ) or (
            -- A name that was too long keeps its beginning (macro short_name).
            tables.schema ~ '(^|_)model_state$' and specs.layer is not null
            and starts_with(tables.name, left(specs.name || '__', 50))
        )
        order by tables.oid, (tables.schema = specs.schema) desc nulls last, length(specs.name) desc
    ),
    formers as materialized (
        select former_names.* from pg_temp.former_names() as former_names
    ),
    judged as (
        select distinct on (matched.oid, held.attnum)
            matched.oid, held.attname::text as name,
            coalesce(matched.columns -> names.name, personal -> names.name) as pii
        from matched
        inner join pg_attribute as held on matched.oid = held.attrelid and held.attnum > 0 and not held.attisdropped
        cross join lateral (
            select held.attname::text as name, false as is_former
            union all
            select formers.old_name, true from formers
            where formers.relid = matched.oid and formers.column_name = held.attname::text
        ) as names
        where matched.role = 'place'
            and not matched.keys ? held.attname::text and not matched.kept ?| array[held.attname::text, names.name]
            and coalesce(matched.columns -> names.name, personal -> names.name) is not null
        order by matched.oid, held.attnum, names.is_former, names.name
    ),
    inherited as (
        select jsonb_object_agg(named.name, named.pii order by named.pii) as columns
        from (
            select held.name, held.pii
            from specs
            cross join jsonb_each(specs.columns) as held (name, pii)
            union all
            select judged.name, judged.pii from judged
        ) as named
    ),
    columns as (
        select
            matched.oid,
            array_agg(held.attname) filter (where matched.keys ? held.attname::text) as keys,
            min(held.attname::text) filter (
                where matched.keys ? held.attname::text and matched.relkind <> 'm'
                and matched.role in ('place', 'below')
                and not exists (
                    select from jsonb_each(matched.inputs) as input (name, keys)
                    inner join pg_attribute as others on others.attrelid = to_regclass(input.name)
                    where others.attname = held.attname and not input.keys ? held.attname::text
                )
            ) as key,
            jsonb_object_agg(held.attname, erased.pii) filter (where erased.pii is not null) as columns,
            array_agg(held.attname order by held.attnum) filter (
                where erased.pii is null and not matched.listed ? held.attname::text
                    and not matched.keys ? held.attname::text and held.attname::text !~ '^(_|dbt_)'
                    and case matched.role
                        when 'place' then held.attname = any(pg_temp.text_columns(matched.oid))
                        when 'below' then not matched.is_ours and personal ? held.attname::text
                    end
            ) as doubtful
        from matched
        cross join inherited
        inner join pg_attribute as held on matched.oid = held.attrelid and held.attnum > 0 and not held.attisdropped
        left join judged on matched.oid = judged.oid and held.attname::text = judged.name
        cross join lateral (
            select case
                when matched.role = 'place' then judged.pii
                when not matched.keys ? held.attname::text then inherited.columns -> held.attname::text
            end as pii
        ) as erased
        group by matched.oid
    )
    select
        matched.oid, matched.schema || '.' || matched.name, matched.role, matched.is_raw, matched.is_ours, columns.keys,
        columns.key, columns.columns, columns.doubtful
    from matched
    inner join columns on matched.oid = columns.oid
$$;
{% endmacro %}
