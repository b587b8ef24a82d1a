{% macro partition_key_type(relation, spec) %}
    {% set found = run_query(
        "select format_type(atttypid, null) from pg_catalog.pg_attribute where attrelid = '"
        ~ relation ~ "'::regclass and attname = '" ~ spec.column ~ "' and attnum > 0") %}
    {% if not found.rows %}
        {% do _partition_error('the query gives no column ' ~ spec.column ~ ' to partition by') %}
    {% endif %}
    {% set key_type = found.rows[0][0] %}
    {% set wanted = ['date', 'timestamp without time zone', 'timestamp with time zone']
        if spec.step is string else ['smallint', 'integer', 'bigint'] %}
    {% if spec.method == 'range' and key_type not in wanted %}
        {% do _partition_error(
            'step ' ~ spec.step ~ ' needs a column of type ' ~ wanted | join(', ') ~ ', but '
            ~ spec.column ~ ' is ' ~ key_type) %}
    {% endif %}
    {{ return(key_type) }}
{% endmacro %}

{% macro _partition_start_sql(value, spec, key_type) -%}
    {#- Where the partition of a value starts. Boundaries of timestamptz are those of UTC. -#}
    {%- if spec.step is not string -%}
        (floor({{ value }}::numeric / {{ spec.step }}) * {{ spec.step }})::{{ key_type }}
    {%- elif key_type == 'timestamp with time zone' -%}
        date_trunc('{{ spec.step }}', {{ value }}, 'UTC')
    {%- else -%}
        date_trunc('{{ spec.step }}', {{ value }}::timestamp)::{{ key_type }}
    {%- endif -%}
{%- endmacro %}

{% macro _partition_end_sql(start, spec, key_type) -%}
    {%- set interval = "interval '" ~ ('3 months' if spec.step == 'quarter' else '1 ' ~ spec.step) ~ "'" -%}
    {%- if spec.step is not string -%}
        {{ start }} + {{ spec.step }}
    {%- elif key_type == 'timestamp with time zone' -%}
        ({{ start }} at time zone 'UTC' + {{ interval }}) at time zone 'UTC'
    {%- else -%}
        ({{ start }} + {{ interval }})::{{ key_type }}
    {%- endif -%}
{%- endmacro %}

{% macro _partition_suffix_sql(start, spec, key_type) -%}
    {%- if spec.step is not string -%}
        replace({{ start }}::text, '-', 'minus_')
    {%- else -%}
        {%- set moment = start ~ (" at time zone 'UTC'" if key_type == 'timestamp with time zone' else '') -%}
        to_char(
            {{ moment }},
            '{{ {
                'day': 'YYYY_MM_DD', 'week': 'IYYY"w"IW', 'month': 'YYYY_MM', 'quarter': 'YYYY"q"Q',
                'year': 'YYYY',
            }[spec.step] }}'
        ) || case when {{ moment }} < '0001-01-01' then '_bc' else '' end
    {%- endif -%}
{%- endmacro %}

{% macro partition_fits_sql(spec, key_type) -%}
    {#- Condition that is true for the rows that belong to a partition other than the default one. -#}
    {%- set column = adapter.quote(spec.column) -%}
    {%- if spec.method == 'range' -%}
        {{ column }} is not null
        {%- if spec.step is string %}
        {#- Not infinite, and far enough from the ends of a timestamp for its partition to start and end. #}
        and {{ column }} >= '4713-01-01 00:00:00+00 BC' and {{ column }} < '294276-01-01 00:00:00+00'
        {%- endif %}
        {%- if spec.from is not none %}
        and {{ _partition_start_sql(column, spec, key_type) }} >= '{{ spec.from }}'
        {%- endif %}
        {%- if spec.until is not none %}
        and {{ _partition_end_sql(_partition_start_sql(column, spec, key_type), spec, key_type) }} <= '{{ spec.until }}'
        {%- endif %}
    {%- elif spec.groups -%}
        {{ column }}::text in ({{ _partition_literals(spec.groups.values() | sum(start=[])) }})
        {%- if none in spec.groups.values() | sum(start=[]) %}
        or {{ column }} is null
        {%- endif %}
    {%- elif spec.default -%}
        {{ column }} is not null
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{% macro _partition_literals(members) %}
    {% set literals = [] %}
    {% for member in members %}
        {% do literals.append(
            'null' if member is none else dbt.string_literal(dbt.escape_single_quotes(member | string))) %}
    {% endfor %}
    {{ return(literals | join(', ')) }}
{% endmacro %}

{% macro _partition_range_periods_sql(relation, spec, key_type, window) %}
    {#- One row per partition that the rows of the relation belong to, and per partition of the window. -#}
    {%- set column = adapter.quote(spec.column) -%}
    select
        starts.partition_start as {{ column }},
        {{ _partition_suffix_sql('starts.partition_start', spec, key_type) }} as suffix,
        format(
            'for values from (%L) to (%L)',
            starts.partition_start,
            {{ _partition_end_sql('starts.partition_start', spec, key_type) }}
        ) as bound,
        sum(starts.row_count) as row_count
    from (
        select
            {{ _partition_start_sql(column, spec, key_type) }} as partition_start,
            count(*) as row_count
        from {{ relation }}
        where {{ partition_fits_sql(spec, key_type) }}
        group by 1
        {%- if window and spec.step is string %}
        union all
        select
            (series.moment
                {{- " at time zone 'UTC'" if key_type == 'timestamp with time zone' }})::{{ key_type }},
            0
        from generate_series(
            '{{ window.from }}'::timestamp,
            '{{ window.until }}'::timestamp - interval '1 day',
            interval '{{ '3 months' if spec.step == 'quarter' else '1 ' ~ spec.step }}'
        ) as series (moment)
        {%- elif window %}
        union all
        select series.number::{{ key_type }}, 0
        from generate_series({{ window.from }}, {{ window.until - 1 }}, {{ spec.step }}) as series (number)
        {%- endif %}
    ) as starts
    group by starts.partition_start
{% endmacro %}

{% macro _partition_list_periods_sql(relation, spec, key_type) %}
    {%- set column = adapter.quote(spec.column) -%}
    select
        listed.{{ column }},
        {%- if spec.groups %}
        listed.suffix,
        listed.bound,
        {%- else %}
        {#- Values whose name had to be changed carry a hash, so that two never get the same name. #}
        case
            when listed.{{ column }} is null then 'null'
            when listed.label ~ '^[a-z0-9_]{1,24}$' and listed.label not in ('null', 'default')
                then listed.label
            else
                left(regexp_replace(lower(listed.label), '[^a-z0-9]+', '_', 'g'), 16)
                || '_' || left(md5(listed.label), 8)
        end as suffix,
        format('for values in (%L)', listed.label) as bound,
        {%- endif %}
        listed.row_count
    from (
        select
            {{ column }},
            {{ column }}::text as label,
            {%- if spec.groups %}
            groups.suffix,
            groups.bound,
            {%- endif %}
            count(*) as row_count
        from {{ relation }}
        {%- if spec.groups %}
        inner join (values
            {%- for name, members in spec.groups.items() %}
            {%- set bound = 'for values in (' ~ _partition_literals(members) ~ ')' %}
            {%- set is_last_group = loop.last %}
            {%- for member in members %}
            ({{ _partition_literals([member]) }}::text, '{{ name }}', {{ _partition_literals([bound]) }})
                {{- ',' if not (loop.last and is_last_group) }}
            {%- endfor %}
            {%- endfor %}
        ) as groups (member, suffix, bound)
            on {{ column }}::text is not distinct from groups.member
        {%- endif %}
        where {{ partition_fits_sql(spec, key_type) }}
        group by {{ range(1, 5 if spec.groups else 3) | join(', ') }}
    ) as listed
{% endmacro %}

{% macro partition_periods(relation, spec, children, window=none) %}
    {#- The partitions that rows of the relation need, a list of dictionaries: suffix of the name, bound (the
        `for values …` of SQL), row_count, and child, the existing partition that holds such rows, or
        none. PostgreSQL itself says which child that is: its partition constraint is put to the first
        value of the period. -#}
    {% set key_type = partition_key_type(relation, spec) %}
    {% set found = run_query(
        'select needed.suffix, needed.bound, needed.row_count::bigint, '
        ~ _partition_child_sql(children) ~ ' as child from ('
        ~ (_partition_range_periods_sql(relation, spec, key_type, window) if spec.method == 'range'
           else _partition_list_periods_sql(relation, spec, key_type))
        ~ ') as needed order by needed.' ~ adapter.quote(spec.column)) %}
    {% set periods = {} %}
    {% for row in found %}
        {#- A group has a row for each of its values; it is there when all of them have a place. -#}
        {% set known = periods.get(row[1]) %}
        {% do periods.update({row[1]: {
            'suffix': row[0],
            'bound': row[1],
            'row_count': row[2] | int + (known.row_count if known else 0),
            'child': row[3] if not known or known.child else none,
        }}) %}
    {% endfor %}
    {{ return(periods.values() | list) }}
{% endmacro %}

{% macro _partition_child_sql(children) -%}
    {%- set listed = children | rejectattr('is_default') | list -%}
    {%- if listed -%}
        case
            {%- for child in listed %}
            when {{ child.holds }} then '{{ child.relation }}'
            {%- endfor %}
        end
    {%- else -%}
        null::text
    {%- endif -%}
{%- endmacro %}
