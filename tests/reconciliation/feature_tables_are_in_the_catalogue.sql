-- Each row is a feature table that feature_catalogue leaves out: add it to the list at the top of
-- that model.
{% set tables = [] %}
{% if execute %}
    {% for node in graph.nodes.values()
        if node.resource_type == 'model' and 'feature_table' in node.config.meta %}
        {% do tables.append(node.name) %}
    {% endfor %}
{% endif %}

select feature_tables.model_name
from unnest('{{ "{" ~ tables | join(",") ~ "}" }}'::text[]) as feature_tables (model_name)
left join {{ ref('feature_catalogue') }} as feature_catalogue
    on feature_tables.model_name = feature_catalogue.feature_table
where feature_catalogue.feature_table is null
