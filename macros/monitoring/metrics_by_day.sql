{% macro metrics_by_day(model_name, amounts, categories, kinds) %}
    {#- The standard error is how far a metric strays by chance alone, at that number of rows: of a count of independent
        events (Poisson), of a share (binomial), of a median (asymptotic, the spread taken from the quartiles). -#}
    {%- set nullable = nullable_columns(model_name) %}
    {%- for node in (graph.nodes.values() if execute else []) if node.name == model_name and node.resource_type == 'model' %}
        {%- for column in node.columns.values()
            if column.name in categories and personal_kind(column.name, column_meta(column), kinds) %}
            {{- exceptions.raise_compiler_error(
                model_name ~ '.' ~ column.name ~ ' is personal: its values cannot be monitored one by one') }}
        {%- endfor %}
    {%- endfor %}
    select
        '{{ model_name }}' as model_name,
        metrics.metric,
        metrics.column_name,
        null::text as category,
        days.metric_date,
        days.row_count,
        metrics.metric_value::double precision,
        metrics.standard_error::double precision
    from (
        select
            events.metric_date,
            count(*) as row_count
            {%- for column in nullable %},
            avg((events.{{ column }} is null)::integer) as {{ short_name('null_share_of_' ~ column, '') }}
            {%- endfor %}
            {%- for column in amounts %},
            percentile_cont(array[0.25, 0.5, 0.75]) within group (order by events.{{ column }})
                as {{ short_name('quartiles_of_' ~ column, '') }}
            {%- endfor %}
        from {{ short_name('events_of_' ~ model_name, '') }} as events
        group by events.metric_date
    ) as days
    cross join lateral (
        values
        ('rows', null, days.row_count, sqrt(days.row_count))
        {%- for column in nullable %}
        {%- set share = 'days.' ~ short_name('null_share_of_' ~ column, '') %},
        ('null share of {{ column }}', '{{ column }}', {{ share }}, sqrt({{ share }} * (1 - {{ share }}) / days.row_count))
        {%- endfor %}
        {%- for column in amounts %}
        {%- set quartiles = 'days.' ~ short_name('quartiles_of_' ~ column, '') %},
        (
            'median of {{ column }}', '{{ column }}', {{ quartiles }}[2],
            1.2533 * ({{ quartiles }}[3] - {{ quartiles }}[1]) / 1.349 / sqrt(days.row_count)
        )
        {%- endfor %}
    ) as metrics (metric, column_name, metric_value, standard_error)
    {%- for column in categories %}
    union all
    select
        '{{ model_name }}' as model_name,
        'share of {{ column }} ' || coalesce(shares.category, 'null') as metric,
        '{{ column }}' as column_name,
        shares.category,
        shares.metric_date,
        shares.row_count,
        shares.metric_value,
        sqrt(shares.metric_value * (1 - shares.metric_value) / shares.row_count) as standard_error
    from (
        select
            events.{{ column }}::text as category,
            events.metric_date,
            sum(count(*)) over (partition by events.metric_date)::bigint as row_count,
            count(*)::double precision / sum(count(*)) over (partition by events.metric_date) as metric_value
        from {{ short_name('events_of_' ~ model_name, '') }} as events
        group by events.{{ column }}, events.metric_date
    ) as shares
    {%- endfor %}
{% endmacro %}

{% macro nullable_columns(model_name) %}
    {#- Those of which neither a constraint nor a test says that they are never null. -#}
    {%- set found, tested = [], [] %}
    {%- for node in (graph.nodes.values() if execute else []) if node.resource_type == 'test'
        and (node.test_metadata or {}).get('name') == 'not_null' and node.attached_node.split('.')[-1] == model_name %}
        {%- do tested.append(node.column_name) %}
    {%- endfor %}
    {%- for node in (graph.nodes.values() if execute else [])
        if node.resource_type == 'model' and node.name == model_name %}
        {%- for column in node.columns.values() if column.name not in tested
            and not column.constraints | selectattr('type', 'equalto', 'not_null') | list %}
            {%- do found.append(column.name) %}
        {%- endfor %}
    {%- endfor %}
    {{ return(found) }}
{% endmacro %}
