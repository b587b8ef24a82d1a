{% macro create_rows_of_login(relation, key_column, logins) %}
    {#- A function with the model's columns that returns the rows of who asks, and of nobody else. What it does inside
        is not the caller's plan: the planner takes it for 1,000 rows, whatever the tables' statistics say, where the
        plan of a view shows how many rows every key has. Its name changes with its columns, as PostgreSQL cannot
        change those of a function that is in use. -#}
    {% if not execute %}
        {{ return('') }}
    {% endif %}
    {% set name = rows_of_login() %}
    {% set schema_name, table_name = logins.split('.') %}
    {% set has_logins = run_query(
        "select exists (select from pg_catalog.pg_class inner join pg_catalog.pg_namespace "
        ~ "on pg_class.relnamespace = pg_namespace.oid where pg_namespace.nspname = '" ~ schema_name
        ~ "' and pg_class.relname = '" ~ table_name ~ "' and has_schema_privilege(pg_namespace.oid, 'usage') "
        ~ "and has_table_privilege(pg_class.oid, 'select'))"
    )[0][0] %}
    create or replace function {{ name }}()
    returns table (
        {% for column in model.columns.values() %}
            {{ adapter.quote(column.name) }} {{ column.data_type }}{{ ',' if not loop.last }}
        {% endfor %}
    )
    language sql stable security definer rows 1000 cost 1000
    set search_path to pg_catalog, pg_temp
    as $rows_of_login$
        select
            {% for column in model.columns.values() %}
                shown.{{ adapter.quote(column.name) }}{{ ',' if not loop.last }}
            {% endfor %}
        from {{ relation }} as shown
        {% if has_logins %}
            where shown.{{ key_column }} in (
                select logins.{{ key_column }} from {{ logins }} as logins
                where logins.login = session_user
            )
        {% else %}
            where false
        {% endif %}
    $rows_of_login$;
    revoke all on function {{ name }}() from public;
    {#- Functions in a view are called by who reads the view. -#}
    do $grant$
    declare
        found record;
    begin
        for found in
            select pg_roles.rolname
            from pg_catalog.pg_roles
            where
                pg_roles.rolname = any(array['{{ config.get("grants", {}).get("select", []) | join("', '") }}'])
                and '{{ target.name }}' <> 'dev'
        loop
            execute format('grant execute on function {{ name }}() to %I', found.rolname);
        end loop;
    end
    $grant$
{% endmacro %}

{% macro drop_old_rows_of_login() %}
    {#- Functions of earlier columns, once the view reads the new one. -#}
    do $drop$
    declare
        found record;
    begin
        for found in
            select pg_proc.oid::regprocedure::text as name
            from pg_catalog.pg_proc
            where
                pg_proc.pronamespace = '{{ this.schema }}'::regnamespace
                and starts_with(pg_proc.proname, '{{ this.identifier }}__rows_')
                and pg_proc.proname <> '{{ rows_of_login().split(".")[1] }}'
        loop
            execute format('drop function %s', found.name);
        end loop;
    end
    $drop$
{% endmacro %}

{% macro rows_of_login() %}
    {% set columns = [] %}
    {% for column in model.columns.values() %}
        {% do columns.append(column.name ~ ' ' ~ column.data_type) %}
    {% endfor %}
    {{ return(this.schema ~ '.' ~ this.identifier ~ '__rows_' ~ local_md5(columns | join(', '))[:8]) }}
{% endmacro %}
