{% materialization view, adapter='postgres' %}
    {#- The view keeps its identity, with all that reads it and every right on it. One that is as it should be is
        left alone, so that its readers are never waited for. -#}
    {% set target_relation = this.incorporate(type='view') %}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% set kind = relation_kind(target_relation) %}
    {#- PostgreSQL would take away the options that somebody set, such as security_invoker. -#}
    {% set options = run_query(
        "select ' with (' || array_to_string(reloptions, ', ') || ')' from pg_catalog.pg_class where oid = '"
        ~ target_relation ~ "'::regclass")[0][0] if kind == 'v' else none %}
    {% set create_sql = get_create_view_as_sql(target_relation, sql)
        | replace('create view ' ~ target_relation, 'create view ' ~ target_relation ~ (options or ''), 1) %}
    {% set change = view_change(target_relation, sql) if kind == 'v' else 'other' %}
    {% if change == 'none' %}
        {% call noop_statement('main', 'CREATE VIEW', 'CREATE VIEW', 0) %}{{ create_sql }}{% endcall %}
    {% elif change == 'columns at the end' %}
        {% call statement('lock') %}{{ relation_lock_sql([target_relation | string]) }}{% endcall %}
        {% call statement('main') %}
            {{ create_sql | replace('create view ' ~ target_relation, 'create or replace view ' ~ target_relation, 1) }}
        {% endcall %}
    {% else %}
        {% set views = find_dependent_views(target_relation) if kind else [] %}
        {% if kind %}
            {% call statement('lock') %}{{ relation_lock_sql(views + [target_relation | string]) }}{% endcall %}
            {% do take_down_dependent_views() %}
            {% call statement('drop') %}{{ drop_kind_sql(kind, target_relation) }}{% endcall %}
        {% endif %}
        {% call statement('main') %}{{ create_sql }}{% endcall %}
        {% do note_change_of_kind(target_relation) %}
        {% if kind %}
            {% do put_back_dependent_views(target_relation) %}
        {% endif %}
    {% endif %}
    {% do apply_grants(target_relation, config.get('grants'), should_revoke=kind == 'v') %}
    {% do persist_docs(target_relation, model) %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do adapter.commit() %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{% macro view_change(target_relation, sql) %}
    {#- What the query makes of the view that is there: none; columns at the end, or none of another name or type,
        as CREATE OR REPLACE allows; other. PostgreSQL itself says it, of a view that nobody else sees. -#}
    {% set probe = adapter.quote(local_md5(this | string)) %}
    {% call statement('probe') %}
        {{ config.get('sql_header') or '' }}
        create temporary view {{ probe }} as (
            {{ sql }}
        )
    {% endcall %}
    {% set query %}
        select
            case
                when not columns.is_kept then 'other'
                when
                    columns.is_equal
                    and pg_get_viewdef(views.oid) = pg_get_viewdef('pg_temp.{{ probe }}'::regclass)
                    then 'none'
                else 'columns at the end'
            end
        from pg_catalog.pg_class as views
        cross join lateral (
            select
                bool_and(
                    old_columns.attname is null
                    or (old_columns.attname, old_columns.atttypid, old_columns.atttypmod, old_columns.attcollation)
                    is not distinct from
                    (new_columns.attname, new_columns.atttypid, new_columns.atttypmod, new_columns.attcollation)
                ) as is_kept,
                bool_and(old_columns.attname is not null) as is_equal
            from (
                select * from pg_catalog.pg_attribute where attrelid = views.oid and attnum > 0
            ) as old_columns
            full join (
                select * from pg_catalog.pg_attribute where attrelid = 'pg_temp.{{ probe }}'::regclass and attnum > 0
            ) as new_columns
                on old_columns.attnum = new_columns.attnum
        ) as columns
        where views.oid = '{{ target_relation }}'::regclass
    {% endset %}
    {% set change = run_query(query)[0][0] %}
    {% call statement('drop_probe') %}drop view pg_temp.{{ probe }}{% endcall %}
    {{ return(change) }}
{% endmacro %}
