{% macro create_masked_sources() %}
    {#- Views beside raw for who changes models (haven_developer): the same names, columns and types,
        but null for what the YAML marks as personal, and for what it does not list and could be:
        a column that came with the source's last change. Not in dev: developers may not read raw. -#}
    {% set kinds = personal_data(required=false) %}
    {% if kinds and target.name != 'dev' %}
        {% for source in graph.sources.values() if source.schema == 'raw' %}
            {% set personal, listed = [], [] %}
            {% for column in source.columns.values() %}
                {% set meta = column_meta(column) %}
                {% do listed.append(column.name) %}
                {% if personal_kind(column.name, meta, kinds) or meta.get('erase') %}
                    {% do personal.append(column.name) %}
                {% endif %}
            {% endfor %}
            do $$
            declare
                raw_table constant regclass := to_regclass('{{ source.schema }}.{{ source.identifier }}');
                view_id constant oid := to_regclass('raw_masked.{{ source.identifier }}');
                shown text;
            begin
                -- Without `haven access` there is no schema, and nobody to show anything to.
                if raw_table is null or not exists (
                    select from pg_catalog.pg_namespace
                    where nspname = 'raw_masked' and has_schema_privilege(oid, 'create')
                ) or not coalesce(
                    (select pg_has_role(relowner, 'usage') from pg_catalog.pg_class where oid = view_id), true
                ) then
                    return;
                end if;
                select string_agg(
                    case
                        when
                            attname = any('{{ "{" ~ personal | join(",") ~ "}" }}'::text[])
                            or attname <> all('{{ "{" ~ listed | join(",") ~ "}" }}'::text[])
                            and attname !~ '^_'
                            and format_type(atttypid, null)
                            !~ '^(bigint|integer|smallint|numeric|real|double|boolean|timestamp|time|interval)'
                            then format('null::%s as %I', format_type(atttypid, atttypmod), attname)
                        else quote_ident(attname)
                    end, ', ' order by attnum
                )
                into shown
                from pg_catalog.pg_attribute
                where attrelid = raw_table and attnum > 0 and not attisdropped;
                execute format('create or replace view raw_masked.{{ source.identifier }} as select %s from %s',
                    shown, raw_table);
                grant select on raw_masked.{{ source.identifier }} to haven_developer;
            end
            $$;
        {% endfor %}
    {% endif %}
{% endmacro %}
