{% materialization table, adapter='postgres' %}
    {#- dbt's own, but nothing that hangs on the table is lost, and no lock is waited for without an end. -#}
    {{ return(build_table(sql)) }}
{% endmaterialization %}

{% macro build_table(sql) %}
    {#- One transaction: the new table aside, then it takes the place of the old one; or, if something hangs on
        that, the old one takes its rows. -#}
    {% set target_relation = this.incorporate(type='table') %}
    {% set aside = aside_relation(target_relation) %}
    {% set grant_config = config.get('grants') %}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% do check_can_be_written(target_relation) %}
    {% do drop_leftover(aside) %}
    {% call statement('main') %}{{ get_create_table_as_sql(False, aside, sql) }}{% endcall %}
    {% set kind = relation_kind(target_relation) %}
    {% if kind == 'r' and attached_objects(target_relation, aside) %}
        {% do write_table_in_place(target_relation, aside) %}
        {% call statement('drop_aside') %}drop table {{ aside }}{% endcall %}
        {% do apply_grants(target_relation, grant_config, should_revoke=True) %}
        {% do persist_docs(target_relation, model) %}
    {% else %}
        {% do create_indexes(aside) %}
        {% do apply_grants(aside, grant_config, should_revoke=False) %}
        {% do persist_docs(aside, model) %}
        {% do put_in_place_of(target_relation, kind, aside) %}
    {% endif %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do adapter.commit() %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmacro %}

{% macro aside_relation(target_relation) %}
    {{ return(make_intermediate_relation(target_relation).incorporate(type='table')) }}
{% endmacro %}

{% macro drop_leftover(relation) %}
    {#- Of a build that was not one transaction. -#}
    {% set kind = relation_kind(relation) %}
    {% if kind %}
        {% call statement('drop_leftover') %}{{ drop_kind_sql(kind, relation) }}{% endcall %}
    {% endif %}
{% endmacro %}

{% macro drop_kind_sql(kind, relation) -%}
    {#- Never CASCADE: what nobody thought of makes it fail, by name. -#}
    drop {{ {'v': 'view', 'm': 'materialized view', 'f': 'foreign table'}.get(kind, 'table') }} {{ relation }}
{%- endmacro %}

{% macro put_in_place_of(target_relation, kind, aside) %}
    {#- A table takes the name of what is there, which is dropped; views on it are made again. -#}
    {% set attached = attached_objects(target_relation, aside) if kind else [] %}
    {% set views = find_dependent_views(target_relation) if attached else [] %}
    {% if kind %}
        {% call statement('lock') %}{{ relation_lock_sql(views + [target_relation | string]) }}{% endcall %}
    {% endif %}
    {% if attached %}
        {% do take_down_dependent_views() %}
    {% endif %}
    {% call statement('swap') %}
        {% if kind %}
            {{ drop_kind_sql(kind, target_relation) }};
        {% endif %}
        alter table {{ aside }} rename to {{ adapter.quote(target_relation.identifier) }};
    {% endcall %}
    {% do note_change_of_kind(target_relation) %}
    {% if attached %}
        {% do put_back_dependent_views(target_relation) %}
    {% endif %}
{% endmacro %}

{% macro note_change_of_kind(target_relation) %}
    {#- dbt keeps a cache of what is there. When it forgets a relation it forgets the views on it too, so that
        those are noted again. -#}
    {% set cached = load_cached_relation(target_relation) %}
    {% if cached is not none and cached.type != target_relation.type %}
        {% do adapter.cache_dropped(cached) %}
        {% do adapter.cache_added(target_relation) %}
        {% for row in list_relations_without_caching(target_relation.without_identifier()) %}
            {% set found = api.Relation.create(database=row[0], identifier=row[1], schema=row[2], type=row[3]) %}
            {% if load_cached_relation(found) is none %}
                {% do adapter.cache_added(found) %}
            {% endif %}
        {% endfor %}
    {% endif %}
{% endmacro %}
