{% macro in_last_days(event_at, day_count, as_of_at='due.as_of_at') -%}
    {%- if day_count is not integer or day_count < 1 -%}
        {% do exceptions.raise_compiler_error(
            'in_last_days: day_count must be a whole number above 0, got ' ~ day_count) %}
    {%- endif -%}
    {#- A difference: a time less days depends on the session's time zone where its clock changes. -#}
    {{ as_of_at }} - {{ event_at }} <= interval '{{ day_count }} days'
{%- endmacro %}
