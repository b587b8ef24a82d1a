{% macro partition_cut(key_type, spec) %}
    {#- Where the partitions to be kept start, as text; none without retention. Counted from the start of
        the run, not from the newest row, which may be a typing error in the year 2099. -#}
    {% if not spec.retention %}
        {{ return(none) }}
    {% elif spec.step is not string %}
        {{ return(spec.retention.limit // spec.step * spec.step) }}
    {% endif %}
    {% set kept_from = "('" ~ run_started_at.strftime('%Y-%m-%d %H:%M:%S') ~ "'::timestamp - interval '"
        ~ spec.retention.limit ~ "')" %}
    {% if key_type == 'timestamp with time zone' %}
        {% set kept_from = kept_from ~ " at time zone 'UTC'" %}
    {% endif %}
    {{ return(run_query('select (' ~ _partition_start_sql(kept_from, spec, key_type) ~ ')::text')[0][0]) }}
{% endmacro %}

{% macro retire_partitions(target_relation, cut, key_type, spec) %}
    {#- After the commit of the build, in a transaction of its own: if it fails, the next run does it. -#}
    {% set retention = spec.retention %}
    {% set old = [] %}
    {% for child in partition_children(target_relation) if child.ends and child.ends != 'MAXVALUE' %}
        {% do old.append(child) %}
    {% endfor %}
    {% if old %}
        {% set ended = run_query(
            'select ends from unnest(array[' ~ _partition_literals(old | map(attribute='ends')) ~ ']) as bounds (ends) '
            ~ "where ends::" ~ key_type ~ " <= '" ~ cut ~ "'").columns[0].values() %}
        {% set old = old | selectattr('ends', 'in', ended) | list %}
    {% endif %}
    {% if old %}
        {% set archive = partition_archive_schema(retention) %}
        {% set relations = [target_relation] + old | map(attribute='relation') | list %}
        {% call statement('retire') %}
            {% if archive %}
                create schema if not exists {{ archive }};
            {% endif %}
            {{ partition_claim_sql(relations, spec) }}
            {{ partition_lock_sql(relations, spec) }}
            {% for child in old %}
                {% if retention.action == 'drop' %}
                    drop table {{ child.relation }};
                {% else %}
                    alter table {{ target_relation }} detach partition {{ child.relation }};
                    {% if archive %}
                        alter table {{ child.relation }} set schema {{ archive }};
                    {% endif %}
                {% endif %}
            {% endfor %}
        {% endcall %}
        {% do adapter.commit() %}
        {{ log(model.name ~ ': retention ' ~ retention.action ~ ' ' ~ old | map(attribute='name') | join(', '), info=true) }}
    {% else %}
        {#- Ends the transaction that the questions above opened. -#}
        {% call statement('nothing_to_retire') %}select 1{% endcall %}
        {% do adapter.commit() %}
    {% endif %}
{% endmacro %}

{% macro partition_archive_schema(retention) %}
    {{ return(generate_schema_name(retention.schema, model) | trim if retention.action == 'archive' else none) }}
{% endmacro %}
