{% macro postgres__get_grant_sql(relation, privilege, grantees) %}
    {#- A warehouse whose operator has not run `haven access` has no roles to grant to, and a
        developer's schemas are nobody else's. A grant to a missing role would fail the model. -#}
    do $grant$
    declare
        present_grantees constant text := (
            select string_agg(quote_ident(pg_roles.rolname), ', ')
            from pg_catalog.pg_roles
            where
                pg_roles.rolname = any(array['{{ grantees | join("', '") }}'])
                and '{{ target.name }}' <> 'dev'
        );
    begin
        if present_grantees is not null then
            execute 'grant {{ privilege }} on {{ relation.render() }} to ' || present_grantees;
        end if;
    end
    $grant$
{% endmacro %}
