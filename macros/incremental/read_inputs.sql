{% macro read_inputs(reader=model) %}
    {#- What a model reads, found in dbt's graph: each thing beneath its refs that changes by itself, through all views.
        A list of dictionaries: name, kind, node, and views, the names of the views between the model and it, with
        their code; and paths, the ways on which it is read, each a list of nodes from the model to it. -#}
    {% set found = {} %}
    {% set waiting = [] %}
    {% for unique_id in reader.depends_on.nodes %}
        {% do waiting.append({'unique_id': unique_id, 'views': [], 'code': '', 'path': [reader]}) %}
    {% endfor %}
    {#- The list grows while it is read: what a view reads is appended. -#}
    {% for place in waiting if place.unique_id != reader.unique_id %}
        {% set node = graph.nodes.get(place.unique_id) or graph.sources.get(place.unique_id) %}
        {% set kind = _input_kind(node) %}
        {% if kind %}
            {% set input = found.setdefault(
                place.unique_id, {'name': _input_name(node), 'kind': kind, 'node': node, 'views': [], 'code': '', 'paths': []}) %}
            {% do input.paths.append(place.path + [node]) %}
            {% do input.views.extend(place.views) %}
            {% do input.update({'code': input.code ~ place.code}) %}
        {% endif %}
        {% if not kind or _is_staging(node) %}
            {#- A staging view stands for its source; a seed that it reads is an input of its own. -#}
            {% for unique_id in node.depends_on.nodes if not kind or unique_id in graph.nodes %}
                {% do waiting.append({
                    'unique_id': unique_id,
                    'views': place.views + [_input_name(node)],
                    'code': place.code ~ '\n' ~ node.raw_code,
                    'path': place.path + [node],
                }) %}
            {% endfor %}
        {% endif %}
    {% endfor %}
    {{ return(found.values() | list) }}
{% endmacro %}

{% macro _input_name(node) %}
    {% if node.resource_type == 'source' %}
        {{ return(node.source_name ~ '.' ~ node.name) }}
    {% endif %}
    {{ return(node.name ~ ('.v' ~ node.version if node.get('version') is not none else '')) }}
{% endmacro %}

{% macro _input_kind(node) %}
    {#- loaded: rows carry the load that changed them. snapshot: so do they, but how far it has read
        the loads only it knows (strategy load). built: a model of this strategy, which notes its changed rows. whole:
        anything else, whose content is compared. none: a view, which is looked through. -#}
    {% if node.resource_type == 'snapshot' and node.config.get('strategy') == 'load' %}
        {{ return('snapshot') }}
    {% elif node.resource_type == 'source' or _is_staging(node) %}
        {{ return('whole' if missing_columns(node, ['_load_id']) else 'loaded') }}
    {% elif is_of_strategy(node) %}
        {{ return('built') }}
    {% elif node.config.materialized in ['view', 'ephemeral'] %}
        {{ return(none) }}
    {% endif %}
    {{ return('whole') }}
{% endmacro %}

{% macro is_of_strategy(node) %}
    {#- A view or table may have the setting of its folder, or of what it was before. -#}
    {{ return(
        node.resource_type == 'model'
        and node.config.get('incremental_strategy') == 'touched_keys'
        and node.config.materialized not in ['view', 'ephemeral', 'table', 'materialized_view']
    ) }}
{% endmacro %}

{% macro _is_staging(node) %}
    {#- A view that gives every row of one source, and reads nothing else that changes but seeds. Rows that leave a
        filter would not be seen to have changed: such a view is looked through. -#}
    {% set sources = [] %}
    {% set others = [] %}
    {% if node.resource_type == 'model' and node.config.materialized == 'view' %}
        {% for unique_id in node.depends_on.nodes if not unique_id.startswith('seed.') %}
            {% do (sources if unique_id in graph.sources else others).append(unique_id) %}
        {% endfor %}
    {% endif %}
    {{ return(sources | length == 1 and not others and node.unique_id not in _views_with_filters()) }}
{% endmacro %}

{% macro stands_for(node) %}
    {#- The id of what changes: of the source for a staging view. -#}
    {% set sources = node.depends_on.nodes | select('in', graph.sources) | list if _is_staging(node) else [] %}
    {{ return(sources | first | default(node.unique_id, true)) }}
{% endmacro %}

{% macro _views_with_filters() %}
    {#- Views whose query is more than a select list over one table, as the catalog's query tree says it: macros are part
        of it, and no string is taken for SQL. Asked once for each model that is built. -#}
    {% if 'views_with_filters' not in model %}
        {% set views = [] %}
        {% for node in graph.nodes.values() if node.resource_type == 'model' and node.config.materialized == 'view'
            and node.depends_on.nodes | select('in', graph.sources) | list %}
            {% do views.append("('" ~ node.unique_id ~ "', to_regclass('" ~ input_relation(node) ~ "'))") %}
        {% endfor %}
        {% set found = run_query(
            "select views.unique_id from (values " ~ views | join(', ') ~ ") as views (unique_id, relation) "
            ~ "inner join pg_catalog.pg_rewrite as rules on views.relation = rules.ev_class where rules.ev_action::text ~ '"
            ~ ":(quals|havingQual|limitCount|limitOffset|setOperations) [{]|:(distinctClause|groupClause|groupingSets) [(]"
            ~ "|:has(Aggs|WindowFuncs|TargetSRFs) true|[{](JOINEXPR|TABLESAMPLECLAUSE) "
            ~ "|:fromlist [(][{]RANGETBLREF :rtindex [0-9]+[}] [{]'") if views else [] %}
        {% do model.update({'views_with_filters': found | map(attribute='unique_id') | list}) %}
    {% endif %}
    {{ return(model.views_with_filters) }}
{% endmacro %}

{% macro input_relation(node) %}
    {#- What ref() gives, also for what the model reads only through a view, where dbt forbids ref(). -#}
    {% set own = api.Relation.create(
        database=node.database, schema=node.schema, identifier=node.get('alias') or node.identifier) %}
    {% set deferred = node.get('defer_relation') if invocation_args_dict.get('defer') %}
    {% if deferred and (
        (invocation_args_dict.get('favor_state') and node.unique_id not in selected_resources)
        or adapter.get_relation(own.database, own.schema, own.identifier) is none
    ) %}
        {{ return(api.Relation.create(
            database=deferred.database, schema=deferred.schema, identifier=deferred.alias)) }}
    {% endif %}
    {{ return(own) }}
{% endmacro %}

{% macro input_rows(node) -%}
    (select * from {{ input_relation(node) }}{{ ' where false' if flags.EMPTY }})
{%- endmacro %}

{% macro missing_columns(node, wanted) %}
    {#- Which of the wanted columns an input does not have: neither as documented nor in the warehouse. -#}
    {% set missing = wanted | reject('in', node.columns.values() | map(attribute='name') | list) | list %}
    {% if missing %}
        {% set there = adapter.get_columns_in_relation(input_relation(node)) | map(attribute='name') | list %}
        {% set missing = missing | reject('in', there) | list %}
    {% endif %}
    {{ return(missing) }}
{% endmacro %}

{% macro input_row_id(node) %}
    {#- The column by which rows of the input are known: that of a test `unique`, of a contract, or the source's key. -#}
    {% set names = [] %}
    {% if node.resource_type == 'snapshot' and node.config.get('unique_key') is string %}
        {% do names.append(node.config.unique_key) %}
    {% endif %}
    {% for column in node.columns.values() %}
        {% for constraint in column.get('constraints', []) if constraint.type in ['primary_key', 'unique'] %}
            {% do names.append(column.name) %}
        {% endfor %}
    {% endfor %}
    {% for test in graph.nodes.values() if test.resource_type == 'test' and test.get('attached_node') == node.unique_id %}
        {% if test.column_name and test.test_metadata and test.test_metadata.name == 'unique' %}
            {% do names.append(test.column_name) %}
        {% endif %}
    {% endfor %}
    {% set source_key = node.config.get('meta', {}).get('load', {}).get('primary_key', []) %}
    {% if source_key | length == 1 %}
        {% do names.append(source_key[0]) %}
    {% endif %}
    {{ return(names | first | default(none, true)) }}
{% endmacro %}
