{% macro profiled_columns() %}
    {#- What the newest profiles say of each column, for queries that are written from them; nothing before the first
        `haven profile`. HAVEN_PROFILE_TABLES limits them to some tables. -#}
    {% set profiles = ref('column_profiles') %}
    {% set found = [] %}
    {% if execute and load_relation(profiles) %}
        {% set only = fromjson(env_var('HAVEN_PROFILE_TABLES', '[]')) %}
        {% for column in fromjson(run_query(_profiled_columns_sql(profiles))[0][0] or '[]')
            if not only or column.label in only %}
            {% do column.update({
                'can_refer': column.kind == 'text'
                    or column.data_type in ['smallint', 'integer', 'bigint', 'uuid'],
            }) %}
            {% do found.append(column) %}
        {% endfor %}
    {% endif %}
    {{ return(found) }}
{% endmacro %}

{% macro is_named_after(column_name, key_name, table_name, is_key) %}
    {#- A column that is itself a key must have the very name of the other, or hold its table's. Names such as `id` say
        nothing about what they identify. -#}
    {% set mine, theirs = _words(column_name), _words(key_name) %}
    {% set generic = ['id', 'uuid', 'guid', 'key', 'code', 'name', 'number', 'no', 'nr', 'ref'] %}
    {% if mine[-(theirs | length):] == theirs and theirs | reject('in', generic) | list %}
        {{ return(not is_key or mine == theirs) }}
    {% endif %}
    {% set spelled, stems = _stems(mine), _stems(_words(table_name)) %}
    {% for start in (range(spelled | length) if stems else [])
        if spelled[start:start + (stems | length)] == stems %}
        {{ return(true) }}
    {% endfor %}
    {{ return(false) }}
{% endmacro %}

{% macro _words(name) %}
    {% set spaced = modules.re.sub('([a-z0-9])([A-Z])', '\\1_\\2', name) | lower %}
    {{ return(modules.re.split('[\\W_]+', spaced) | select | list) }}
{% endmacro %}

{% macro _stems(words) %}
    {#- English nouns without their plural endings, near enough to compare names. -#}
    {% set stems = [] %}
    {% for word in words %}
        {% set singular = modules.re.sub('ies$', 'y', word) %}
        {% set singular = modules.re.sub('(ss|s|x|ch)es$', '\\1', singular) %}
        {% do stems.append(modules.re.sub('([^s])s$', '\\1', singular)) %}
    {% endfor %}
    {{ return(stems) }}
{% endmacro %}

{% macro _profiled_columns_sql(profiles) %}
    with

    dated as (

        select
            profiles.*,
            max(profiles.profiled_at) over (
                partition by profiles.raw_schema, profiles.raw_table
            ) as last_profiled_at
        from {{ profiles }} as profiles

    )

    select
        json_agg(
            json_build_object(
                'label', source_name || '.' || table_name,
                'table_name', table_name,
                'relation', format('%I.%I', raw_schema, raw_table),
                'name', column_name,
                'quoted', quote_ident(column_name),
                'data_type', data_type,
                'kind', kind,
                'is_key', is_key,
                'is_sampled', is_sampled,
                'row_count', row_count,
                'null_count', null_count,
                'distinct_count', distinct_count,
                'duplicate_count', duplicate_count,
                'key_share', key_share
            )
            order by raw_schema, raw_table, column_position
        )::text
    from dated
    where
        profiled_at = last_profiled_at
        and to_regclass(format('%I.%I', raw_schema, raw_table)) is not null
{% endmacro %}
