{% macro alert_clock() %}
    {#- The moment that alerts are looked at: now, or what the session says in `haven.now`, so that one can ask what would
        have been told at another time. -#}
    coalesce(nullif(current_setting('haven.now', true), '')::timestamptz, now())
{%- endmacro %}
