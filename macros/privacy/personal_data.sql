{% macro personal_data(required=true) %}
    {#- Rows of the seed, in the order in which their names are tried; in dev production's, as long as there is no other. -#}
    {% set seed = ref('personal_data') %}
    {% set kinds = [] %}
    {% if execute %}
        {% set shared = seed.incorporate(path={'schema': 'reference'}) %}
        {% set found = load_relation(seed) or load_relation(shared) %}
        {% if not found and required and flags.WHICH not in ['compile', 'generate'] %}
            {% do exceptions.raise_compiler_error(
                seed ~ ', which says what is personal, is not there: dbt seed --select personal_data') %}
        {% endif %}
        {% for row in (run_query(
            'select kind, column_names, column_values, share, mask from ' ~ found ~ ' order by priority'
        ) if found else []) %}
            {% do kinds.append(dict(zip(['kind', 'column_names', 'column_values', 'share', 'mask'], row.values()))) %}
        {% endfor %}
    {% endif %}
    {{ return(kinds) }}
{% endmacro %}

{% macro personal_kind(column_name, meta, kinds) %}
    {#- What the YAML says of a column counts more than its name. -#}
    {% if meta.get('pii') is not none %}
        {{ return(meta.pii or none) }}
    {% endif %}
    {% set re = modules.re %}
    {% set words = re.sub('([A-Z]+)([A-Z][a-z])|([a-z0-9])([A-Z])', '\\1\\3_\\2\\4', column_name) %}
    {% set words = re.sub('[^a-z0-9]+', '_', words | lower) %}
    {% for kind in kinds
        if kind.column_names and re.search('(^|_)(' ~ kind.column_names ~ ')(_|[0-9]|$)', words) %}
        {{ return(none if kind.kind in ['harmless', 'fact'] else kind.kind) }}
    {% endfor %}
    {{ return(none) }}
{% endmacro %}

{% macro column_meta(column) %}
    {{ return(column.get('config', {}).get('meta') or column.get('meta') or {}) }}
{% endmacro %}
