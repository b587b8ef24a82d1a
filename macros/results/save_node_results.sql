{% macro save_node_results(results) %}
    {#- One statement for the results of all nodes, then one for the failing rows of each test that kept some: what cannot
        be shown of them loses no result. A build with `--empty` tells nothing of the data. -#}
    {#- Asked for in any case, as dbt notes here which seed the hook reads. -#}
    {% set kinds = personal_data(required=false) %}
    {% set table = node_results() if results and not flags.EMPTY else none %}
    {% if not table or not can_save_node_results(table) %}
        {{ return('') }}
    {% endif %}
    {% set rows, with_failing_rows, seen = [], [], {} %}
    {% for result in results %}
        {% set row = result_of_node(result, kinds) %}
        {% do rows.append(row) %}
        {% do seen.update({row.node_id: true}) %}
        {% if row.failures_table and row.failures and row.status in ['fail', 'warn'] %}
            {% do with_failing_rows.append(row) %}
        {% endif %}
    {% endfor %}
    {#- What did not run is told by the newest run only: no check is taken for a passed one, and what has no row of that run
        is no longer in the project. -#}
    {% for node in graph.nodes.values()
        if node.resource_type in ['test', 'model', 'seed', 'snapshot'] and node.package_name == project_name
        and node.unique_id not in seen and flags.WHICH != 'freshness' %}
        {% do rows.append(dict(facts_of_node(node), status='not_run', message='It was not part of this run.')) %}
    {% endfor %}
    with earlier as (
        delete from {{ table.relation_name }} as results
        where results.status = 'not_run' and {{ 'false' if flags.WHICH == 'freshness' else 'true' }}
    )
    insert into {{ table.relation_name }} ({{ table.columns.values() | map(attribute='name') | join(', ') }})
    select
        {% for column in table.columns.values() %}
            {% if column.name in ['finished_at', 'recorded_at'] %}
                coalesce(saved.{{ column.name }}, now()){{ ',' if not loop.last }}
            {% else %}
                saved.{{ column.name }}{{ ',' if not loop.last }}
            {% endif %}
        {% endfor %}
    from jsonb_to_recordset('{{ tojson(rows) | replace("'", "''") }}') as saved (
        {% for column in table.columns.values() %}
            {{ column.name }} {{ column.data_type }}{{ ',' if not loop.last }}
        {% endfor %}
    );
    {{ save_failing_rows(table, with_failing_rows, kinds) }}
{% endmacro %}

{% macro result_of_node(result, kinds) %}
    {#- A row of ops.node_results. dbt calls a source that is too old an `error`; here that is a check that failed. -#}
    {% set is_freshness = result.node.resource_type == 'source' %}
    {% set status = {
        'no-op': 'success', 'partial success': 'error', 'runtime error': 'error',
        'error': 'fail' if is_freshness else 'error',
    }.get(result.status ~ '', result.status ~ '') %}
    {% set node = graph.nodes.get(result.node.unique_id) or graph.sources.get(result.node.unique_id)
        or result.node.to_dict() %}
    {% set row = facts_of_node(node) %}
    {% do row.update({
        'status': status if status in ['pass', 'warn', 'fail', 'skipped', 'success'] else 'error',
        'seconds': result.execution_time,
        'failures': result.failures if row.kind in ['data test', 'unit test'] else none,
        'rows_affected': result.adapter_response.get('rows_affected')
            if result.adapter_response and row.kind in ['model', 'seed', 'snapshot'] else none,
        'message': masked_message(result.message, kinds),
    }) %}
    {% for step in result.timing or [] if step.completed_at %}
        {% do row.update({'finished_at': step.completed_at.isoformat() ~ 'Z'}) %}
    {% endfor %}
    {% if is_freshness and result.age is defined and not row.message %}
        {% do row.update({'message': 'The newest row is ' ~ age_in_words(result.age) ~ ' old.'}) %}
    {% elif row.kind == 'data test' and node.config.store_failures %}
        {% do row.update({'failures_schema': node.schema, 'failures_table': node.alias}) %}
    {% elif result.failures and row.kind == 'data test' %}
        {% do row.update({'failing_rows': failing_rows_note('This test does not store the rows it finds.')}) %}
    {% endif %}
    {{ return(row) }}
{% endmacro %}

{% macro facts_of_node(node) %}
    {#- What a row of ops.node_results says of the node itself, whatever became of it. -#}
    {% set kind = {'test': 'data test', 'unit_test': 'unit test', 'source': 'freshness'}.get(
        node.resource_type, node.resource_type) %}
    {% set tested = tested_node(node) %}
    {% set meta = node.config.get('meta') or {} %}
    {% set group = graph.groups.get('group.' ~ project_name ~ '.' ~ ((tested or node).config.get('group') or '')) %}
    {% set owner = (group.owner if group else {}) %}
    {% set name = node.source_name ~ '.' ~ node.name if kind == 'freshness' else node.name %}
    {{ return({
        'run_id': env_var('DBT_ENV_CUSTOM_ENV_HAVEN_RUN_ID', invocation_id),
        'invocation_id': invocation_id,
        'command': flags.WHICH,
        'node_id': ('freshness.' if kind == 'freshness' else '') ~ node.unique_id,
        'node_name': 'freshness of ' ~ name if kind == 'freshness' else name,
        'kind': kind,
        'package_name': node.package_name,
        'model_name': tested.name if tested else (none if kind in ['data test', 'unit test', 'operation'] else name),
        'column_name': node.get('column_name'),
        'layer': layer_of_node(node),
        'rule': rule_of_node(node, name),
        'description': (node.get('description') or '') | trim if kind in ['data test', 'unit test'] else '',
        'path': node.original_file_path,
        'severity': (node.config.severity | lower) if node.config.get('severity') else none,
        'owner': meta.get('owner') or owner.get('name') or owner.get('email'),
        'tags': node.get('tags') or [],
        'what_to_do': meta.get('what_to_do'),
    }) }}
{% endmacro %}

{% macro age_in_words(seconds) %}
    {% for size, word in [(86400, 'days'), (3600, 'hours'), (60, 'minutes')] if seconds >= 2 * size %}
        {{ return((seconds / size) | round | int ~ ' ' ~ word) }}
    {% endfor %}
    {{ return(seconds | round | int ~ ' seconds') }}
{% endmacro %}
