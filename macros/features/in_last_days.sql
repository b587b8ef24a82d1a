{% macro in_last_days(event_at, day_count, as_of_at='due.as_of_at') -%}
    {%- if day_count is not integer or day_count < 1 -%}
        {% do exceptions.raise_compiler_error(
            'in_last_days: day_count must be a whole number above 0, got ' ~ day_count) %}
    {%- endif -%}
    {#- In hours: days depend on the session's time zone where its clock changes. -#}
    {{ event_at }} >= {{ as_of_at }} - interval '{{ day_count * 24 }} hours'
{%- endmacro %}
