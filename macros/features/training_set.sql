{% macro training_set(labels, entity, label, features, as_of_dates=[], max_age_days=0) -%}
    {#- One subquery per feature table, not a plain join on the date: the newest row at or before
        the label's as-of date is taken, and none that is later can be. -#}
    {%- if not features -%}
        {% do exceptions.raise_compiler_error('training_set: features names no feature table') %}
    {%- endif -%}
    {%- if max_age_days is not integer or max_age_days < 0 -%}
        {% do exceptions.raise_compiler_error(
            'training_set: max_age_days must be a whole number from 0, got ' ~ max_age_days) %}
    {%- endif -%}
    select
        labelled.{{ entity }},
        {%- for table in features %}
            {%- set rows_name = 'features_' ~ loop.index %}
            {%- if not table.columns %}
                {% do exceptions.raise_compiler_error(
                    'training_set: ' ~ table.relation ~ ' comes without columns') %}
            {%- endif %}
            {%- for column in table.columns %}
        {{ rows_name }}.{{ column }},
            {%- endfor %}
        {%- endfor %}
        labelled.{{ label }},
        labelled.as_of_date
    from (select * from {{ labels }}) as labelled
    {%- for table in features %}
        {%- set rows_name = 'features_' ~ loop.index %}
    cross join lateral (
        select feature_rows.*
        from (select * from {{ table.relation }}) as feature_rows
        where
            feature_rows.{{ entity }} = labelled.{{ entity }}
            and feature_rows.as_of_date <= labelled.as_of_date
            and feature_rows.as_of_date >= labelled.as_of_date - {{ max_age_days }}
        order by feature_rows.as_of_date desc
        limit 1
    ) as {{ rows_name }}
    {%- endfor %}
    {%- if as_of_dates %}
    where
        labelled.as_of_date in (
            {%- for as_of_date in as_of_dates -%}
                '{{ as_of_date }}'::date{{ ', ' if not loop.last }}
            {%- endfor -%}
        )
    {%- endif %}
{%- endmacro %}
