-- A row is a view between raw and an incremental model that has a `with` clause, aggregates or
-- limits. PostgreSQL joins such a view only after it has read all of it, so that each build of the
-- models above would read the whole history (docs/late_data.md). Write it as one select.
{%- set view_names = [] %}
{%- if execute %}
    {%- for node in graph.nodes.values()
        if node.resource_type == 'model' and node.config.materialized == 'view'
        and (node.name.startswith('stg_') or node.name.startswith('int_orders__')) %}
        {%- do view_names.append("'" ~ node.schema ~ '.' ~ (node.alias or node.name) ~ "'") %}
    {%- endfor %}
{%- endif %}
-- depends_on: {{ ref('fct_orders') }}
with

view_definitions as (

    select
        schemaname || '.' || viewname as view_name,
        definition as view_definition
    from pg_catalog.pg_views
    where schemaname || '.' || viewname in ({{ view_names | join(', ') or 'null' }})

),

final as (

    select view_name
    from view_definitions
    where
        view_definition ~* '^\s*with\s'
        or view_definition ~* '(group by|distinct|limit|over \()'

)

select * from final
