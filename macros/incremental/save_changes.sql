{% macro _save_changes(is_increment) %}
    {#- Counts the build and, for the models that are computed from this one, notes its changed rows.
        They are kept until all of those have read them, for 100 builds at most; a model that comes
        later, or after a rebuild, computes all its keys. -#}
    {% set schema_name = model_state_schema() %}
    {% set model_name = _input_name(model) %}
    {% set changes = state_table(model_name, 'changes') %}
    {% set consumers = _consumers() %}
    {% set builds = run_query(
        "select build_number, changes_from from " ~ schema_name ~ ".model_builds "
        ~ "where model_name = '" ~ model_name ~ "'") %}
    {% set number = (builds[0][0] | int if builds else 0) + 1 %}
    {% set is_noted = is_increment and consumers and run_query(
        "select to_regclass('pg_temp.changed_rows') is not null")[0][0] %}
    {% set is_kept = is_noted and builds and _has_columns_of_this(changes) %}
    {% if not is_kept %}
        drop table if exists {{ changes }};
    {% endif %}
    {% if is_noted %}
        {% if not is_kept %}
            create table {{ changes }} as
            select {{ number }}::bigint as _build_number, true as _is_new, target_rows.*
            from (select * from {{ this }}) as target_rows
            limit 0;
            create index on {{ changes }} (_build_number);
        {% endif %}
        {% set columns = adapter.get_columns_in_relation(this) | map(attribute='quoted') | join(', ') %}
        insert into {{ changes }} (_build_number, _is_new, {{ columns }})
        select {{ number }}, changed_rows._is_new, {{ columns }}
        from pg_temp.changed_rows as changed_rows;
        {#- The models that read it plan by how few they are. -#}
        analyze {{ changes }};
    {% endif %}
    {#- changes_from: the first build of which all changed rows are noted. -#}
    {% if is_kept %}
        {% set changes_from = builds[0][1] | int %}
    {% elif is_noted %}
        {% set changes_from = number %}
    {% else %}
        {% set changes_from = number + 1 %}
    {% endif %}
    {% set read_by_all = run_query(
        "select min(build_number) from " ~ schema_name ~ ".model_inputs where input_name = '" ~ model_name
        ~ "' and model_name in ('" ~ consumers | join("', '") ~ "')")[0][0] %}
    {% set unread_from = [(read_by_all if read_by_all is not none else number) | int, number - 100] | max + 1 %}
    {% if is_kept and unread_from > changes_from %}
        delete from {{ changes }} where _build_number < {{ unread_from }};
        {% set changes_from = unread_from %}
    {% endif %}
    insert into {{ schema_name }}.model_builds as stored (model_name, build_number, changes_from, updated_at)
    values ('{{ model_name }}', {{ number }}, {{ changes_from }}, now())
    on conflict (model_name) do update
    set
        build_number = excluded.build_number,
        changes_from = excluded.changes_from,
        updated_at = excluded.updated_at
{% endmacro %}

{% macro _consumers() %}
    {#- Names of the models of this strategy that read this one. -#}
    {% set names = [] %}
    {% for node in graph.nodes.values() if is_of_strategy(node) %}
        {% if _input_name(model) in read_inputs(node) | map(attribute='name') %}
            {% do names.append(_input_name(node)) %}
        {% endif %}
    {% endfor %}
    {{ return(names) }}
{% endmacro %}

{% macro _has_columns_of_this(changes) %}
    {% set signature = "select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attname) "
        ~ "from pg_catalog.pg_attribute where attnum > 0 and not attisdropped "
        ~ "and attname not in ('_build_number', '_is_new') and attrelid = to_regclass('" %}
    {{ return(run_query(
        "select (" ~ signature ~ changes ~ "')) is not distinct from (" ~ signature ~ this ~ "'))"
    )[0][0]) }}
{% endmacro %}
