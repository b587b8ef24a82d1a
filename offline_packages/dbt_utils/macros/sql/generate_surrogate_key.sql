{#- md5 over the fields as text, joined by '-'; a null differs from an empty string unless
    the variable surrogate_key_treat_nulls_as_empty_strings is true. -#}
{% macro generate_surrogate_key(field_list) -%}
    {%- set null_text = '' if var('surrogate_key_treat_nulls_as_empty_strings', false)
        else '_dbt_utils_surrogate_key_null_' -%}
    {%- set parts = [] -%}
    {%- for field in field_list -%}
        {%- do parts.append("coalesce(cast(" ~ field ~ " as text), '" ~ null_text ~ "')") -%}
    {%- endfor -%}
    md5(cast({{ parts | join(" || '-' || ") }} as text))
{%- endmacro %}
