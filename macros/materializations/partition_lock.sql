{% macro partition_claim_sql(relations, spec) %}
    {#- Keeps other builds, vacuum and DDL away without any reader noticing. Waiting here lets
        PostgreSQL cancel an autovacuum, which the short waits for the final lock never would. -#}
    set local lock_timeout = '{{ spec.lock_patience_s }}s';
    {% for relation in relations %}
    lock table only {{ relation }} in share update exclusive mode;
    {% endfor %}
    set local lock_timeout to default;
{% endmacro %}

{% macro partition_lock_sql(relations, spec) %}
    {{ exclusive_lock_sql(relations, spec.lock_timeout_ms, spec.lock_patience_s) }}
{% endmacro %}
