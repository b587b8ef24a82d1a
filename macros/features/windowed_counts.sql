{% macro windowed_counts(events, event_at, entity_id, counts={}, others={}, within=none) %}
    {#- In one pass over the events that were known at the time of each row in `due`; `within` keeps it from reading older ones. -#}
    select
        due.{{ entity_id }},
        due.as_of_date
        {%- for name, day_count in counts.items() %},
        count(*)
        {%- if day_count and day_count != within %} filter (where {{ in_last_days(events ~ '.' ~ event_at, day_count) }}){% endif %}
            as {{ name }}
        {%- endfor %}
        {%- for name, expression in others.items() %},
        {{ expression }} as {{ name }}
        {%- endfor %}
    from due
    inner join {{ events_of(events, entity_id) }}
        on
            due.{{ entity_id }} = {{ events }}.{{ entity_id }}
            and {{ is_known(events, event_at) }}
            {%- if within %}
            and {{ in_last_days(events ~ '.' ~ event_at, within) }}
            {%- endif %}
    group by
        due.{{ entity_id }},
        due.as_of_date
{% endmacro %}
