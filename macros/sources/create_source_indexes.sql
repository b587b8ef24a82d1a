{% macro create_source_indexes() %}
    {#- A missing index costs time, never correctness: when the table is not there yet, or belongs
        to a role this user is no member of, it is left for whoever owns the table. -#}
    {% if execute %}
        {% for source in graph.sources.values() %}
            {% for column in source.config.meta.get('lookup_columns', []) %}
                {% set is_expression = '(' in column %}
                {% set index_name = short_name(
                    source.identifier ~ '_' ~ modules.re.sub('[^a-z0-9]+', '_', column | lower) | trim('_'), '_lookup',
                    source.identifier ~ '|' ~ column) %}
                do $$
                declare
                    raw_table constant regclass := to_regclass('{{ source.schema }}.{{ source.identifier }}');
                begin
                    if exists (
                        select 1
                        from pg_catalog.pg_class as tables
                        {%- if is_expression %}
                        where
                            tables.oid = raw_table
                            and pg_has_role(tables.relowner, 'usage')
                            and to_regclass('{{ source.schema }}."{{ index_name }}"') is null
                        {%- else %}
                        inner join pg_catalog.pg_attribute as columns
                            on tables.oid = columns.attrelid and columns.attname = '{{ column }}'
                        where
                            tables.oid = raw_table
                            and pg_has_role(tables.relowner, 'usage')
                            and not exists (
                                select 1
                                from pg_catalog.pg_index as indexes
                                where
                                    indexes.indrelid = tables.oid
                                    and indexes.indkey[0] = columns.attnum
                            )
                        {%- endif %}
                    ) then
                        create index if not exists "{{ index_name }}"
                        on {{ source.schema }}.{{ source.identifier }} ({{ column }});
                    end if;
                end
                $$;
            {% endfor %}
        {% endfor %}
    {% endif %}
{% endmacro %}
