{% macro person_nodes(kinds) %}
    {#- All that dbt knows of as a relation: what it is made from, whose key is in which column, and the columns that are
        erased with it: personal ones, by `meta.pii` or by name, but not with `erase: false`; others with `erase: true`.
        The loader hides the same columns (person_of in runner/contract.py). `kept` are columns that the YAML itself keeps:
        any other that a table really has is judged by its name, and by those that it had. -#}
    {% set nodes = [] %}
    {% for node in graph.sources.values() | list + graph.nodes.values() | list %}
        {% set person = {} %}
        {% set columns = {} %}
        {% set kept = [] %}
        {% for column in node.columns.values() if column_meta(column).get('person') %}
            {% if person %}
                {% do exceptions.raise_compiler_error(
                    node.original_file_path ~ ': ' ~ node.name ~ ': columns ' ~ person.key ~ ', ' ~ column.name
                    ~ ' each have `meta.person`: only one may') %}
            {% endif %}
            {% do person.update(key=column.name, kind=column_meta(column).person | string) %}
        {% endfor %}
        {% for column in node.columns.values() if person and column.name != person.key %}
            {% set meta = column_meta(column) %}
            {% set pii = personal_kind(column.name, meta, kinds) %}
            {% if meta.get('erase', pii is not none) %}
                {% do columns.update({column.name: pii or ''}) %}
            {% elif 'erase' in meta or meta.get('pii') is not none %}
                {% do kept.append(column.name) %}
            {% endif %}
        {% endfor %}
        {% do nodes.append({
            'id': node.unique_id,
            'schema': node.schema,
            'name': node.get('identifier') or node.get('alias') or node.name,
            'layer': node.config.get('schema'),
            'is_raw': node.resource_type == 'source' and node.schema != 'ops',
            'is_ours': node.package_name == 'elementary' or node.schema == 'ops',
            'is_test': node.resource_type == 'test',
            'parents': node.get('depends_on', {}).get('nodes', []),
            'person': person.get('kind'),
            'key': person.get('key'),
            'columns': columns,
            'kept': kept,
            'listed': node.columns.values() | map(attribute='name') | list,
        }) %}
    {% endfor %}
    {{ return(nodes) }}
{% endmacro %}

{% macro personal_names(kinds) %}
    {#- What is personal by its name, of all names that columns have or had, each with its kind. After erasure_functions. -#}
    {% set found = {} %}
    {% for row in run_query('select name from pg_temp.column_names() as name') %}
        {% set pii = personal_kind(row[0], {}, kinds) %}
        {% if pii %}
            {% do found.update({row[0]: pii}) %}
        {% endif %}
    {% endfor %}
    {{ return(found) }}
{% endmacro %}
