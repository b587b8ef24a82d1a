{% macro events_of(events, entity_id) -%}
    {%- if is_incremental() -%}
        {#- PostgreSQL cannot know how few rows are due, and would read all events to join them; `offset`
            keeps it from taking the subquery apart, so it looks the events of each row up in an index. -#}
        lateral (
            select * from {{ events }}
            where {{ events }}.{{ entity_id }} = due.{{ entity_id }}
            offset 0
        ) as {{ events }}
    {%- else -%}
        {{ events }}
    {%- endif -%}
{%- endmacro %}
