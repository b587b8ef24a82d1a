{% macro is_known(events, event_at, as_of_at='due.as_of_at') -%}
    (
        {{ events }}.{{ event_at }} < {{ as_of_at }}
        and {{ events }}.created_at < {{ as_of_at }}
        and ({{ events }}._deleted_at is null or {{ events }}._deleted_at >= {{ as_of_at }})
    )
{%- endmacro %}
