{#- What dbt does with CASCADE, done without: dbt calls these macros instead of its own. -#}

{% macro postgres__drop_table(relation) -%}
    drop table if exists {{ relation }}
{%- endmacro %}

{% macro postgres__drop_view(relation) -%}
    drop view if exists {{ relation }}
{%- endmacro %}

{% macro postgres__drop_materialized_view(relation) -%}
    drop materialized view if exists {{ relation }}
{%- endmacro %}

{% macro postgres__get_show_grant_sql(relation) %}
    {#- dbt takes away what it finds here and +grants does not say. A right that somebody gave by hand, to a role
        of which the project knows nothing, stays. -#}
    select grants.grantee, grants.privilege_type
    from {{ relation.information_schema('role_table_grants') }} as grants
    where
        grants.grantor = current_role
        and grants.grantee <> current_role
        and grants.table_schema = '{{ relation.schema }}'
        and grants.table_name = '{{ relation.identifier }}'
        and grants.grantee in ('{{ granted_roles() | join("', '") }}')
{% endmacro %}

{% macro postgres__alter_column_comment(relation, column_dict) %}
    {#- dbt's own takes away the comment of a column that the project lists and does not describe. -#}
    {% set described = {} %}
    {% for name, column in column_dict.items() if column.description %}
        {% do described.update({name: column}) %}
    {% endfor %}
    {{ dbt.postgres__alter_column_comment(relation, described) }}
{% endmacro %}

{% macro postgres__alter_column_type(relation, column_name, new_column_type) %}
    {#- dbt's own drops the column, and every view that reads it. -#}
    {% set views = find_dependent_views(relation, [column_name]) %}
    {% call statement('lock') %}{{ relation_lock_sql(views + [relation | string]) }}{% endcall %}
    {% do take_down_dependent_views() %}
    {% set column = adapter.quote(column_name) %}
    {% call statement('alter_column_type') %}
        alter table {{ relation }} alter column {{ column }} type {{ new_column_type }} using {{ column }}::{{ new_column_type }}
    {% endcall %}
    {% do put_back_dependent_views(relation) %}
{% endmacro %}

{% macro postgres__alter_relation_add_remove_columns(relation, add_columns=none, remove_columns=none) %}
    {#- A view that reads a column which goes cannot come back; to try names it, and what to do. -#}
    {% if add_columns or remove_columns %}
        {% set removed = (remove_columns or []) | map(attribute='name') | list %}
        {% set views = find_dependent_views(relation, removed) if removed else [] %}
        {% call statement('lock') %}{{ relation_lock_sql(views + [relation | string]) }}{% endcall %}
        {% if views %}
            {% do take_down_dependent_views() %}
        {% endif %}
        {% do default__alter_relation_add_remove_columns(relation, add_columns, remove_columns) %}
        {% if views %}
            {% do put_back_dependent_views(relation) %}
        {% endif %}
    {% endif %}
{% endmacro %}

{% macro postgres__create_columns(relation, columns) %}
    {% if columns %}
        {% call statement('lock') %}{{ relation_lock_sql([relation | string]) }}{% endcall %}
        {% do default__create_columns(relation, columns) %}
    {% endif %}
{% endmacro %}

{% macro postgres__reset_csv_table(model, full_refresh, old_relation, agate_table) %}
    {#- A seed's rows are replaced where they are: TRUNCATE would wait for every reader, and dropping takes along what
        hangs on the table. -#}
    {% do check_can_be_written(old_relation) %}
    {% if full_refresh and not attached_objects(old_relation) %}
        {% call statement('lock') %}{{ relation_lock_sql([old_relation | string]) }}{% endcall %}
        {% call statement('drop') %}drop table {{ old_relation }}{% endcall %}
        {{ return(create_csv_table(model, agate_table)) }}
    {% elif full_refresh %}
        {% do _seed_columns_in_place(model, old_relation, agate_table) %}
    {% endif %}
    {% call statement('delete_seed') %}
        {{ relation_claim_sql([old_relation | string]) }}
        delete from {{ old_relation }}
    {% endcall %}
    {{ return('delete from ' ~ old_relation) }}
{% endmacro %}

{% macro _seed_columns_in_place(model, old_relation, agate_table) %}
    {% set aside = aside_relation(old_relation) %}
    {% do drop_leftover(aside) %}
    {% set column_types = model['config'].get('column_types', {}) %}
    {% call statement('create_aside') %}
        create table {{ aside }} (
            {%- for name in agate_table.column_names %}
            {{ adapter.quote_seed_column(name | string, model['config'].get('quote_columns')) }}
            {{ column_types.get(name, adapter.convert_type(agate_table, loop.index0)) }}{{ ',' if not loop.last }}
            {%- endfor %}
        )
    {% endcall %}
    {% set changes = alter_table_in_place(old_relation, aside) %}
    {% do finish_table_in_place(old_relation, aside, changes) %}
    {#- dbt makes the indexes of a seed again after a full refresh. -#}
    {% set old_indexes = run_query(
        "select names.oid::regclass from pg_catalog.pg_index inner join pg_catalog.pg_class as names "
        ~ "on pg_index.indexrelid = names.oid where pg_index.indrelid = '" ~ old_relation
        ~ "'::regclass and names.relname ~ '^[0-9a-f]{32}$'").columns[0].values() | list %}
    {% if old_indexes %}
        {% call statement('drop_indexes') %}
            {{ relation_lock_sql([old_relation | string]) }}
            drop index {{ old_indexes | join(', ') }}
        {% endcall %}
    {% endif %}
    {% call statement('drop_aside') %}drop table {{ aside }}{% endcall %}
{% endmacro %}
