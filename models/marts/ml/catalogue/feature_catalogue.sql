{% set feature_tables = ['customer_features', 'product_features'] %}

-- What the YAML says of each feature, and how far its table is built.
with

features as (

    {{ feature_definitions(feature_tables) }}

),

built as (

    {% for model in feature_tables %}
        select
            '{{ model }}' as feature_table,
            max(as_of_date) as latest_as_of_date
        from {{ ref(model) }}
        {% if not loop.last %}
            union all
        {% endif %}
    {% endfor %}

),

final as (

    select
        -- strings
        features.feature_table,
        features.feature_name,
        features.entity_name,
        features.description,
        features.data_type,
        features.knowledge,
        features.owner_name,
        features.owner_email,
        features.freshness,

        -- numerics
        features.window_days,

        -- dates
        built.latest_as_of_date
    from features
    inner join built
        on features.feature_table = built.feature_table

)

select * from final
