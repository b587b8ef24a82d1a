{% test values_are_finite(model, row_id) %}
    {#- NaN and infinity pass every total on: one of them makes a whole sum, and each range passes it. So
        all columns of the model that can hold one are looked at, by their types in the catalog, in one
        pass; a column that is added later is among them. Columns of the loader (`_…`) are its own. -#}
    {%- if model is string -%}
        {% do exceptions.raise_compiler_error('values_are_finite looks at whole models and takes no `where`') %}
    {%- endif -%}
    {%- set columns = run_query(_columns_that_can_be_infinite_sql(model)) if execute else [] -%}
    {%- set conditions = [] -%}
    {%- for column in columns -%}
        {%- do conditions.append(_is_not_finite_sql('checked.' ~ column[0], column[2], column[3])) -%}
    {%- endfor %}
    select
        checked.{{ row_id }},
        found.column_name,
        found.value_found
    from {{ model }} as checked
    cross join lateral (
        values
        {% for column in columns -%}
            ({{ dbt.string_literal(column[1]) }}, checked.{{ column[0] }}::text, {{ conditions[loop.index0] }}),
        {% endfor -%}
        (null, null, false)
    ) as found (column_name, value_found, is_not_finite)
    where
        found.is_not_finite
        and ({{ conditions | join(' or ') or 'false' }})
{% endtest %}

{% macro _columns_that_can_be_infinite_sql(relation) %}
    {#- Name, quoted and plain, and the type and kind (b: plain, A: array, R: range) of what can be infinite in it. -#}
    select
        quote_ident(columns.attname),
        columns.attname::text,
        coalesce(elements.oid, subtypes.oid, types.oid)::regtype::text,
        case when elements.oid is not null then 'A' when subtypes.oid is not null then 'R' else 'b' end
    from pg_catalog.pg_attribute as columns
    inner join pg_catalog.pg_type as named
        on columns.atttypid = named.oid
    inner join pg_catalog.pg_type as types
        on types.oid = coalesce(nullif(named.typbasetype, 0), named.oid)
    left join pg_catalog.pg_type as elements
        on types.typcategory = 'A' and types.typelem = elements.oid
    left join pg_catalog.pg_range as ranges
        on types.oid in (ranges.rngtypid, ranges.rngmultitypid)
    left join pg_catalog.pg_type as subtypes
        on ranges.rngsubtype = subtypes.oid
    where
        columns.attrelid = '{{ relation }}'::regclass
        and columns.attnum > 0
        and not columns.attisdropped
        and columns.attname not like '\_%'
        and coalesce(elements.oid, subtypes.oid, types.oid) in (
            'numeric'::regtype, 'real'::regtype, 'double precision'::regtype, 'date'::regtype,
            'timestamp'::regtype, 'timestamptz'::regtype, 'interval'::regtype
        )
    order by columns.attnum
{% endmacro %}

{% macro _is_not_finite_sql(column, type, kind) -%}
    {%- set value = column if kind == 'b' else 'element.value' -%}
    {%- if type in ['numeric', 'real', 'double precision'] -%}
        {%- set condition = 'coalesce(' ~ value ~ " in ('NaN', 'infinity', '-infinity'), false)" -%}
    {%- else -%}
        {%- set condition = 'not coalesce(isfinite(' ~ value ~ '), true)' -%}
    {%- endif -%}
    {%- if kind == 'b' -%}
        {{ condition }}
    {%- else -%}
        {#- The outer bounds of a range, or of several, hold what is not finite in it. -#}
        exists (
            select from unnest({{ column if kind == 'A' else 'array[lower(' ~ column ~ '), upper(' ~ column ~ ')]' }})
                as element (value)
            where {{ condition }}
        )
    {%- endif -%}
{%- endmacro %}
