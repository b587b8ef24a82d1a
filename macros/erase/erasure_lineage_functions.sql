{% macro erasure_lineage_functions() %}
-- Where people are: the project's nodes, and the warehouse's tables that are theirs.

-- What each node is to people of one kind: `place` (the YAML says whose rows they are), `below` (made from places, at any
-- depth) or `other`. `keys` are the columns with a person's key; below, those of the places it is made from. `inputs` are
-- all relations that a node below is made from, each with its keys.
create or replace function pg_temp.lineage(project_nodes jsonb, person_kind text)
returns table (
    schema text, name text, layer text, role text, is_raw boolean, is_ours boolean, keys jsonb, columns jsonb,
    inputs jsonb
)
language sql stable
set search_path to pg_catalog, pg_temp
as $$
    with recursive nodes as (
        select node.*, coalesce(node.person = person_kind, false) as is_place
        from jsonb_to_recordset(project_nodes) as node (
            id text, schema text, name text, layer text, is_raw boolean, is_ours boolean, is_test boolean,
            parents jsonb, person text, key text, columns jsonb
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
        coalesce(inputs.inputs, '{}')
    from known
    left join inputs on known.id = inputs.id
$$;

-- The warehouse's tables and what they are to these people; `role` is null for a table that no node of the project is. A
-- developer's copy (same name, a schema that ends in the layer's) and what models keep of their changes are what the model
-- is. `keys` are columns named as a person's key; `key` is the one by which `columns` may be erased. Below, that is none
-- where an input has a column of that name that is something else: `id` of a review.
create or replace function pg_temp.relations(project_nodes jsonb, person_kind text)
returns table (
    relid oid, label text, role text, is_raw boolean, is_ours boolean, keys name[], key name, columns jsonb
)
language sql stable
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
            ) as keys,
            (
                select jsonb_object_agg(held.name, held.pii order by held.pii)
                from specs
                cross join jsonb_each(specs.columns) as held (name, pii)
            ) as columns
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
            coalesce(specs.columns, places.columns) as columns
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
            jsonb_object_agg(held.attname, matched.columns -> held.attname::text)
            filter (where matched.columns ? held.attname::text and not matched.keys ? held.attname::text) as columns
        from matched
        inner join pg_attribute as held on matched.oid = held.attrelid and held.attnum > 0
        group by matched.oid
    )
    select
        matched.oid, matched.schema || '.' || matched.name, matched.role, matched.is_raw, matched.is_ours, columns.keys,
        columns.key, columns.columns
    from matched
    inner join columns on matched.oid = columns.oid
$$;
{% endmacro %}
