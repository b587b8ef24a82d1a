{% macro profiles_are_selected() %}
    {#- Profiles read all of raw, so that an ordinary build makes none: only one that names the model, or its tag. -#}
    {% set selected = invocation_args_dict.get('select') or [] %}
    {% set selected = selected if selected is string else selected | join(' ') %}
    {% for name in modules.re.split('[ ,+]+', selected)
        if name in ['column_profiles', 'tag:profiles'] %}
        {{ return(execute) }}
    {% endfor %}
    {{ return(false) }}
{% endmacro %}
