{#- SQL for `value` matches the regular expression somewhere, never null; flags are PostgreSQL's. -#}
{% macro _matches_regex(value, regex, flags) -%}
    coalesce(regexp_match({{ value }}, '{{ regex }}', '{{ flags or '' }}') is not null, false)
{%- endmacro %}
