{% macro begin_consistent_read() %}
    {#- The build of one model is several statements: find the touched keys, compute their rows,
        delete, insert, store the high-water marks. Under `read committed` each would see its own
        moment, and a load that commits between two of them would be lost (mark stored, rows not
        read) or half seen (order read, its items not). Under `repeatable read` all of them see the
        moment of the first; the load is picked up whole by the next run. The transaction begins anew,
        as a query of the model's own while it was compiled, or a hook before it, has begun one, or
        has left none. -#}
    {% if is_of_strategy(model) or model.resource_type == 'snapshot' %}
        commit;
        begin transaction isolation level repeatable read
    {% endif %}
{% endmacro %}
