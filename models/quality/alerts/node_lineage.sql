{#- From dbt's graph: what a node reads, and beneath a source the load that fills its table. -#}
{%- set edges = [] %}
{%- if execute %}
    {%- for node in graph.nodes.values()
        if node.package_name == project_name
        and node.resource_type in ['model', 'seed', 'snapshot', 'test'] %}
        {%- for parent in node.depends_on.nodes %}
            {%- do edges.append([node.unique_id, parent]) %}
        {%- endfor %}
    {%- endfor %}
    {%- for source in graph.sources.values() if source.package_name == project_name %}
        {%- set table = source.schema ~ '.' ~ source.identifier %}
        {%- do edges.append(['freshness.' ~ source.unique_id, source.unique_id]) %}
        {%- do edges.append([source.unique_id, 'load.' ~ table]) %}
        {%- do edges.append(['reconciliation.' ~ table, 'load.' ~ table]) %}
    {%- endfor %}
{%- endif %}
with

edges as (

    select
        listed.edge ->> 0 as node_id,
        listed.edge ->> 1 as reads_node_id
    from jsonb_array_elements('{{ tojson(edges) | replace("'", "''") }}') as listed (edge)

),

final as (

    select distinct
        node_id,
        reads_node_id
    from edges

)

select * from final
