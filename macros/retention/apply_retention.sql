{% macro apply_retention(run_id, is_dry_run=false) %}
    {#- `haven retain` holds the lock of the loads meanwhile, and has looked at the YAML. -#}
    {% if execute %}
        {% do run_query(operator_session('haven retain ' ~ run_id)) %}
        {% do run_query(retention_functions()) %}
        {#- The procedure commits, so that it has to stand outside of a transaction, and alone. -#}
        {% do run_query('commit') %}
        {% do print_answer(fromjson(run_query(
            'call pg_temp.apply_retention(' ~ dollar_quoted(tojson(retention_policies())) ~ ', '
            ~ (is_dry_run | lower) ~ ', null)')[0][0])) %}
    {% endif %}
{% endmacro %}

{% macro retention_policies() %}
    {#- Of a table that the loader fills (`is_raw`) old rows become tombstones first, so that models drop them. -#}
    {% set policies = [] %}
    {% for node in graph.sources.values() if column_meta(node).get('retention') is not none %}
        {% set meta = column_meta(node) %}
        {% set retention = meta.retention %}
        {% do policies.append({
            'schema_name': node.schema,
            'table_name': node.identifier,
            'column_name': retention.column | string,
            'keep': retention.keep | string,
            'purge_after': retention.get('purge_after', '30 days') | string,
            'is_raw': 'load' in meta or node.source_meta.get('load') is not none,
        }) %}
    {% endfor %}
    {{ return(policies) }}
{% endmacro %}
