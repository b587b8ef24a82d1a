{% macro profile_sql(table, kinds, sample_rows) %}
    {#- One row per column of a raw table. Only `cells` reads it, once per column: the groups of equal values. All else
        is computed from these, for all columns together. Values are told apart as their type does, but for types that
        cannot be grouped (json, xml, point): these, and text, by their text. -#}
    {% set live = 'where loaded._deleted_at is null' if table.has_tombstones else '' %}
    {% set all_rows = 'from ' ~ table.relation ~ ' as loaded ' ~ live %}
    {% set sample_pct = _sample_pct(all_rows, sample_rows) if sample_rows and table.can_be_sampled else none %}
    {% set rows = all_rows if sample_pct is none else
        'from ' ~ table.relation ~ ' as loaded tablesample system (' ~ sample_pct ~ ') repeatable (1729) ' ~ live %}
    {% set has_key = table.columns | selectattr('is_key') | list | length > 0 %}
    {% set blanks = "E' \\t\\n\\r\\f\\v'" %}
    with

    columns as (

        select *
        from (
            values
            {% for column in table.columns %}
            (
                {{ loop.index }},
                {{ column.literal }},
                {{ sql_literal(column.data_type) }},
                '{{ column.kind }}',
                {{ (column.type_name in ['int2', 'int4', 'int8']) | lower }},
                {{ column.is_key | lower }},
                {{ 'null' if column.planned_distinct is none else column.planned_distinct }}::double precision,
                {{ sql_literal(column.personal_reason) }},
                {{ column.is_harmless | lower }}
            ){{ ',' if not loop.last }}
            {% endfor %}
        ) as listed (
            column_position,
            column_name,
            data_type,
            kind,
            is_whole,
            is_key,
            planned_distinct,
            personal_reason,
            is_harmless
        )

    ),

    counted as (

        select
            {{ '(select count(*) ' ~ all_rows ~ ')' }} as row_count,
            {{ '(select count(*) ' ~ rows ~ ')' }} as profiled_row_count,
            {% if has_key %}
                0::bigint as duplicate_row_count
            {% elif sample_pct is not none %}
                null::bigint as duplicate_row_count
            {% else %}
                (
                    select count(*) - count(distinct md5(row(
                        {% for column in table.columns %}
                            loaded.{{ column.quoted }}{{ ',' if not loop.last }}
                        {% endfor %}
                    )::text))
                    {{ rows }}
                ) as duplicate_row_count
            {% endif %}

    ),

    cells as (

        {% for column in table.columns %}
            {{ _cells_sql(column, loop.index, rows, blanks) }}
            {{ 'union all' if not loop.last }}
        {% endfor %}

    ),

    counts as (

        select
            cells.column_position,
            coalesce(sum(cells.row_count) filter (where cells.value is not null), 0) as value_count,
            count(cells.value) as distinct_count,
            coalesce(sum(cells.row_count) filter (
                where cells.value is not null and cells.number is null and columns.kind in ('number', 'time')
            ), 0) as not_finite_count,
            coalesce(sum(cells.row_count) filter (where cells.number < 0 and columns.kind = 'number'), 0)
                as negative_count,
            min(cells.characters) as shortest_length,
            max(cells.characters) as longest_length,
            sum(cells.row_count) filter (where btrim(cells.value, {{ blanks }}) = '') as blank_count,
            sum(cells.row_count) filter (where cells.is_untrimmed) as untrimmed_count,
            count(cells.value) filter (where columns.kind = 'text')
            - count(distinct lower(cells.value) collate "C") filter (where columns.kind = 'text') as case_variant_count,
            min(cells.number) as low,
            max(cells.number) as high,
            bool_or(columns.data_type in ('json', 'jsonb') and regexp_replace(
                cells.value, '([a-z0-9])([A-Z])', '\1_\2', 'g'
            ) ~* {{ sql_literal(_personal_keys(kinds)) }}) as has_personal_keys,
            case
                {% for kind in kinds if kind.column_values %}
                when
                    sum(cells.row_count) filter (
                        where columns.kind in ('text', 'other') and cells.value ~ {{ sql_literal(kind.column_values) }}
                    ) >= {{ [kind.share | float, 0.5] | max }} * sum(cells.row_count) filter (where cells.value is not null)
                    then 'values look like personal data: {{ kind.kind }}'
                {% endfor %}
            end as looks_personal
        from cells
        inner join columns on cells.column_position = columns.column_position
        group by cells.column_position

    ),

    -- Numbers whose squares a double precision cannot hold have no mean, and nothing that needs a difference.
    places as (

        select
            cells.column_position,
            cells.number,
            cells.row_count,
            columns.is_whole,
            counts.low,
            counts.high,
            sum(cells.row_count) over (partition by cells.column_position order by cells.number) as rows_up_to
        from cells
        inner join columns on cells.column_position = columns.column_position
        inner join counts on cells.column_position = counts.column_position
        where
            cells.number is not null
            and columns.kind in ('number', 'time')
            and greatest(abs(counts.low), abs(counts.high)) <= 1e308

    ),

    moments as (

        select
            column_position,
            is_whole,
            low,
            high,
            sum(row_count) as finite_count,
            sum(number * row_count) / sum(row_count) as mean
        from places
        group by column_position, is_whole, low, high

    ),

    -- Interpolated between the ranks below and above, as percentile_cont does.
    quartiles as (

        select
            moments.column_position,
            {% for share in [0.25, 0.5, 0.75] %}
                min(places.number) filter (
                    where places.rows_up_to > floor((moments.finite_count - 1) * {{ share }})
                ) + ((moments.finite_count - 1) * {{ share }} - floor((moments.finite_count - 1) * {{ share }})) * (
                    min(places.number) filter (
                        where places.rows_up_to > ceil((moments.finite_count - 1) * {{ share }})
                    ) - min(places.number) filter (
                        where places.rows_up_to > floor((moments.finite_count - 1) * {{ share }})
                    )
                ) as quartile_{{ loop.index }},
            {% endfor %}
            sqrt(
                sum(places.row_count * (places.number - moments.mean) * (places.number - moments.mean)) / nullif(moments.finite_count - 1, 0)
            ) as standard_deviation
        from places
        inner join moments on places.column_position = moments.column_position
        group by moments.column_position, moments.finite_count

    ),

    -- Outliers lie beyond Tukey's inner fences ("Exploratory Data Analysis", 1977).
    outliers as (

        select
            places.column_position,
            coalesce(sum(places.row_count) filter (
                where
                places.number < quartile_1 - 1.5 * (quartile_3 - quartile_1)
                or places.number > quartile_3 + 1.5 * (quartile_3 - quartile_1)
            ), 0) as outlier_count
        from places
        inner join quartiles on places.column_position = quartiles.column_position
        where quartiles.quartile_1 <> quartiles.quartile_3
        group by places.column_position

    ),

    -- Whole numbers of a small range get a bar each.
    bars as (

        select
            moments.column_position,
            moments.low,
            case when moments.is_whole and moments.high - moments.low < 20
                then moments.high - moments.low + 1
            else 20 end::integer as bar_count,
            case when moments.is_whole and moments.high - moments.low < 20
                then moments.high - moments.low + 1
            else moments.high - moments.low end as span
        from moments
        where moments.high > moments.low

    ),

    bins as (

        select
            bars.column_position,
            least(
                floor((places.number - bars.low) * bars.bar_count / bars.span), bars.bar_count - 1
            )::integer as bar,
            sum(places.row_count) as row_count
        from places
        inner join bars on places.column_position = bars.column_position
        group by bars.column_position, bar

    ),

    histograms as (

        select
            bars.column_position,
            jsonb_agg(coalesce(bins.row_count, 0)::bigint order by steps.step) as histogram
        from bars
        cross join lateral generate_series(0, bars.bar_count - 1) as steps (step)
        left join bins on bars.column_position = bins.column_position and steps.step = bins.bar
        group by bars.column_position

    ),

    ranked as (

        select
            column_position,
            value,
            row_count,
            row_number() over (
                partition by column_position
                order by row_count desc, number, value collate "C"
            ) as place
        from cells
        where value is not null and coalesce(characters, char_length(value)) <= 500

    ),

    tops as (

        select
            column_position,
            -- An address inside a longer text is nobody's business either.
            jsonb_agg(jsonb_build_object(
                'value', regexp_replace(value, {{ sql_literal(_email_pattern(kinds)) }}, '•••', 'g'), 'rows', row_count
            ) order by place) as top_values
        from ranked
        where place <= 5
        group by column_position

    ),

    limits as (

        select
            counts.column_position,
            min(cells.value) filter (where cells.number = counts.low) as min_value,
            min(cells.value) filter (where cells.number = counts.high) as max_value
        from cells
        inner join counts on cells.column_position = counts.column_position
        where cells.number in (counts.low, counts.high)
        group by counts.column_position

    )

    select
        {{ sql_literal(table.source_name) }}::text as source_name,
        {{ sql_literal(table.table_name) }}::text as table_name,
        {{ sql_literal(table.schema) }}::text as raw_schema,
        {{ sql_literal(table.name) }}::text as raw_table,
        columns.column_name::text as column_name,
        columns.column_position,
        columns.data_type::text as data_type,
        columns.kind::text as kind,
        coalesce(
            columns.personal_reason,
            case
                when columns.is_harmless then null
                when counts.has_personal_keys then 'its JSON has keys of personal data'
                else counts.looks_personal
            end
        )::text as personal_reason,
        {{ table.size_bytes or 0 }}::bigint as size_bytes,
        counted.row_count,
        counted.profiled_row_count,
        counted.duplicate_row_count,
        {{ 'false' if sample_pct is none else 'true' }} as is_sampled,
        {{ sample_pct or 'null' }}::double precision as sample_pct,
        columns.is_key,
        coalesce(counts.value_count, 0)::bigint as value_count,
        coalesce(counts.distinct_count, 0) as profiled_distinct_count,
        -- The planner's count of the whole table, where there is one, is better than that of a sample.
        {% if sample_pct is none %}
            null::bigint as planned_distinct_count,
        {% else %}
            round(
                case
                    when columns.planned_distinct > 0 then columns.planned_distinct
                    when columns.planned_distinct < 0 then -columns.planned_distinct * counted.row_count
                end
            )::bigint as planned_distinct_count,
        {% endif %}
        counts.not_finite_count::bigint as not_finite_count,
        counts.negative_count::bigint as negative_count,
        counts.shortest_length,
        counts.longest_length,
        counts.blank_count::bigint as blank_count,
        counts.untrimmed_count::bigint as untrimmed_count,
        counts.case_variant_count::bigint as case_variant_count,
        limits.min_value,
        limits.max_value,
        round(moments.mean, 300)::double precision as mean,
        round(quartiles.standard_deviation, 300)::double precision as standard_deviation,
        {% for name in ['first_quartile', 'median', 'third_quartile'] %}
            case
                when quartiles.quartile_{{ loop.index }} is null then null
                when columns.kind = 'number' then trim_scale(quartiles.quartile_{{ loop.index }})::text
                -- A double precision rounds the last moment that there is to one beyond it.
                when columns.data_type = 'date'
                    then (date '1970-01-01' + floor(quartiles.quartile_{{ loop.index }} / 86400)::integer)::text
                when columns.data_type like 'timestamp%with time zone'
                    then to_timestamp(least(quartiles.quartile_{{ loop.index }}, 9224318015999))::text
                else (
                    to_timestamp(least(quartiles.quartile_{{ loop.index }}, 9224318015999)) at time zone 'UTC'
                )::text
            end as {{ name }},
        {% endfor %}
        outliers.outlier_count::bigint as outlier_count,
        histograms.histogram,
        coalesce(tops.top_values, '[]') as top_values
    from columns
    cross join counted
    left join counts on columns.column_position = counts.column_position
    left join limits on columns.column_position = limits.column_position
    left join moments
        on columns.column_position = moments.column_position and columns.kind = 'number'
    left join quartiles on columns.column_position = quartiles.column_position
    left join outliers on columns.column_position = outliers.column_position
    left join histograms on columns.column_position = histograms.column_position
    left join tops on columns.column_position = tops.column_position
{% endmacro %}

{% macro _cells_sql(column, column_position, rows, blanks) %}
    {% set source_column = 'loaded.' ~ column.quoted %}
    {% if column.kind in ['number', 'time', 'clock', 'boolean'] %}
        select
            {{ column_position }} as column_position,
            grouped.value::text as value,
            {{ _position_sql(column) }} as number,
            grouped.row_count,
            null::integer as characters,
            null::boolean as is_untrimmed
        from (
            select
                {{ source_column ~ ('::numeric' if column.type_name == 'money' else '') }} as value,
                count(*) as row_count
            {{ rows }}
            group by {{ source_column }}
        ) as grouped
    {% else %}
        {#- What is long is told apart by its hash, so that no large value is kept. -#}
        {% set is_binary = column.type_name == 'bytea' %}
        {% set text = source_column ~ '::text' %}
        {% set length = ('octet_length(' if is_binary else 'char_length(') ~ (source_column if is_binary else text) ~ ')' %}
        select
            {{ column_position }} as column_position,
            grouped.value,
            null::numeric as number,
            grouped.row_count,
            grouped.characters,
            grouped.is_untrimmed
        from (
            select
                case
                    when {{ length }} > {{ 250 if is_binary else 500 }}
                        then {{ '' if is_binary else 'left(' ~ text ~ ', 500) || ' }}md5({{ source_column if is_binary else text }})
                    else {{ text }}
                end as value,
                count(*) as row_count,
                min({{ length }}) as characters,
                {{ 'bool_or(btrim(' ~ text ~ ', ' ~ blanks ~ ') <> ' ~ text ~ ')' if column.kind == 'text' else 'null::boolean' }}
                    as is_untrimmed
            {{ rows }}
            group by 1
        ) as grouped
    {% endif %}
{% endmacro %}

{% macro _position_sql(column) %}
    {#- The place of `value` on the line of numbers, or null for what is not finite. -#}
    {% if column.kind == 'boolean' %}
        {{ return('null::numeric') }}
    {% elif column.type_name in ['numeric', 'float4', 'float8'] %}
        {{ return("case when grouped.value not in ('NaN', 'Infinity', '-Infinity') then grouped.value::numeric end") }}
    {% elif column.kind == 'number' %}
        {{ return('grouped.value::numeric') }}
    {% elif column.type_name in ['time', 'timetz'] %}
        {{ return('extract(epoch from grouped.value)') }}
    {% endif %}
    {{ return('case when isfinite(grouped.value) then extract(epoch from grouped.value) end') }}
{% endmacro %}

{% macro _sample_pct(all_rows, sample_rows) %}
    {% set row_count = run_query('select count(*) ' ~ all_rows)[0][0] | int %}
    {{ return(100.0 * sample_rows / row_count if row_count > sample_rows else none) }}
{% endmacro %}

{% macro _email_pattern(kinds) %}
    {{ return(kinds | selectattr('kind', 'equalto', 'email') | map(attribute='column_values') | first) }}
{% endmacro %}

{% macro _personal_keys(kinds) %}
    {#- A key of a JSON object that has, as a word or several, the name of personal data. -#}
    {% set names = kinds | rejectattr('kind', 'in', ['harmless', 'fact']) | map(attribute='column_names') | select | join('|') %}
    {{ return('"([^"]*[^a-z0-9"])?(' ~ names ~ ')([^a-z"][^"]*)?"[[:space:]]*:') }}
{% endmacro %}
