{% macro mask(model_name, column_name, kind=none) %}
    {#- The YAML of the model that is read decides what is personal, or the column's name, so that mark and mask
        cannot disagree: another column is an error. The graph is known once dbt executes. -#}
    {% set kinds = personal_data() %}
    {% if not execute %}
        {{ return('null::text') }}
    {% endif %}
    {% set pii = personal_kind(column_name, {'pii': pii_marks(model_name).get(column_name)}, kinds) %}
    {% if not pii %}
        {% do exceptions.raise_compiler_error(
            model.name ~ ': ' ~ model_name ~ '.' ~ column_name
            ~ ' is personal neither by meta.pii nor by its name, so there is nothing to mask') %}
    {% endif %}
    {% set kind = kind or kinds | selectattr('kind', 'equalto', pii) | map(attribute='mask') | first or 'null' %}
    {% if kind == 'hash' %}
        {{ return(_mask_hash(column_name)) }}
    {% elif kind == 'partial' %}
        {{ return(_mask_partial(column_name, pii)) }}
    {% elif kind == 'generalise' %}
        {{ return(_mask_generalise(column_name, pii)) }}
    {% elif kind == 'null' %}
        {{ return('null::text') }}
    {% endif %}
    {% do exceptions.raise_compiler_error(
        model.name ~ ': unknown mask ' ~ kind ~ ': it is hash, partial, generalise or null') %}
{% endmacro %}

{% macro pii_marks(model_name) %}
    {% set marks = {} %}
    {% for node in graph.nodes.values() if node.name == model_name and node.resource_type in ['model', 'snapshot'] %}
        {% for column in node.columns.values() %}
            {% do marks.update({column.name: column_meta(column).get('pii')}) %}
        {% endfor %}
    {% endfor %}
    {{ return(marks) }}
{% endmacro %}

{% macro _mask_hash(column_name) %}
    {#- The key is read by the function, when the query runs: it never is in compiled SQL or a log.
        Where the operator has not made the function (`haven access`), or whoever builds may not call
        it (a developer), nothing is shown. -#}
    {% if run_query(
        "select exists (select from pg_catalog.pg_proc inner join pg_catalog.pg_namespace "
        ~ "on pg_proc.pronamespace = pg_namespace.oid where pg_namespace.nspname = 'privacy' "
        ~ "and pg_proc.proname = 'pseudonym' and has_schema_privilege(pg_namespace.oid, 'usage') "
        ~ "and has_function_privilege(pg_proc.oid, 'execute'))"
    )[0][0] %}
        {{ return('privacy.pseudonym(lower(trim(' ~ column_name ~ ')))') }}
    {% endif %}
    {{ return('null::text') }}
{% endmacro %}

{% macro _mask_partial(column_name, pii) %}
    {% if pii == 'email' %}
        {{ return("left(" ~ column_name ~ ", 1) || '***@' || split_part(" ~ column_name ~ ", '@', 2)") }}
    {% elif pii == 'phone' %}
        {{ return("'***' || right(regexp_replace(" ~ column_name ~ ", '[^0-9]', '', 'g'), 2)") }}
    {% elif pii == 'name' %}
        {{ return("regexp_replace(" ~ column_name ~ ", '(\\S)\\S*', '\\1.', 'g')") }}
    {% endif %}
    {{ return("left(" ~ column_name ~ ", 1) || '***'") }}
{% endmacro %}

{% macro _mask_generalise(column_name, pii) %}
    {% if pii == 'email' %}
        {{ return("nullif(split_part(" ~ column_name ~ ", '@', 2), '')") }}
    {% elif pii == 'address' %}
        {{ return("left(" ~ column_name ~ ", 3)") }}
    {% endif %}
    {{ return('null::text') }}
{% endmacro %}
