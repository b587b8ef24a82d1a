{% macro check_touched_model() %}
    {#- What the strategy needs of the config, checked before anything is written. -#}
    {% set unique_key = unique_key_columns() %}
    {% if not unique_key %}
        {% do _touched_by_error("incremental_strategy 'touched_keys' needs unique_key, the grain of the model") %}
    {% endif %}
    {% set partition_column = _partition_column() %}
    {% set allowed = unique_key + ([partition_column] if partition_column else []) %}
    {% set found = namespace(index=false) %}
    {% for columns in _declared_unique_columns() if columns and columns | reject('in', allowed) | list == [] %}
        {% set found.index = true %}
    {% endfor %}
    {% if not found.index %}
        {% do _touched_by_error(
            "incremental_strategy 'touched_keys' needs a unique index on its unique_key: add {'columns': "
            ~ (unique_key + ([partition_column] if partition_column and partition_column not in unique_key else [])) | list
            ~ ", 'unique': true} to the indexes in its config") %}
    {% elif partition_column and partition_column not in unique_key
        and touched_key_columns() | reject('in', unique_key) | list %}
        {#- No index could tell that a key is in two partitions; a touched key that is part of it can. -#}
        {% do _touched_by_error(
            'the unique_key of a partitioned table has to contain ' ~ partition_column ~ ' or its touched key '
            ~ touched_key_columns() | join(', ')) %}
    {% endif %}
{% endmacro %}

{% macro _partition_column() %}
    {{ return((config.get('partition_by') or {}).get('column') if model.config.materialized == 'partitioned' else none) }}
{% endmacro %}

{% macro _declared_unique_columns() %}
    {#- The columns of each unique index and key that the model declares. -#}
    {% set found = [] %}
    {% for index in config.get('indexes') or [] if index.get('unique') %}
        {% do found.append(index['columns']) %}
    {% endfor %}
    {% for constraint in model.get('constraints', []) if constraint.type in ['primary_key', 'unique'] %}
        {% do found.append(constraint.columns) %}
    {% endfor %}
    {% for column in model.columns.values() %}
        {% for constraint in column.get('constraints', []) if constraint.type in ['primary_key', 'unique'] %}
            {% do found.append([column.name]) %}
        {% endfor %}
    {% endfor %}
    {{ return(found) }}
{% endmacro %}

{% macro create_unique_index(relation) %}
    {#- A table that was built before its unique_key was what it is now has no index on it yet. -#}
    {% set unique_key = unique_key_columns() %}
    {% set partition_column = _partition_column() %}
    {% set columns = unique_key + ([partition_column] if partition_column and partition_column not in unique_key else []) %}
    {% set found = run_query(
        "select exists (select from pg_catalog.pg_index as indexes where indexes.indrelid = '" ~ relation ~ "'::regclass "
        ~ "and indexes.indisunique and indexes.indisvalid and indexes.indpred is null and indexes.indexprs is null "
        ~ "and not exists (select from pg_catalog.pg_attribute as columns where columns.attrelid = indexes.indrelid "
        ~ "and columns.attnum = any(indexes.indkey::smallint[]) and columns.attname not in ('"
        ~ columns | join("', '") ~ "')))")[0][0] %}
    {% if not found %}
        {% call statement('create_unique_index') %}
            do $$
            begin
                create unique index on {{ relation }} ({{ columns | join(', ') }});
            exception when unique_violation then
                raise unique_violation using message = $message${{ model.name }}: rows of one {{ unique_key | join(', ') }} are there
                    more than once; run dbt build --full-refresh --select {{ model.name }}+$message$;
            end
            $$
        {% endcall %}
    {% endif %}
{% endmacro %}

{% macro check_key_is_whole(relation, condition='true') %}
    {#- Rows are found again by their keys, and null finds nothing. -#}
    {% set columns = (unique_key_columns() + touched_key_columns()) | unique | list %}
    {% set found = run_query(
        'select count(*) from ' ~ relation ~ ' as key_rows where (key_rows.'
        ~ columns | join(' is null or key_rows.') ~ ' is null) and ' ~ condition)[0][0] %}
    {% if found %}
        {% do _touched_by_error(
            found ~ ' rows have no value in one of ' ~ columns | join(', ') ~ ': the columns of unique_key and touched_key '
            ~ 'are never null; leave such rows out, or give them a value that stands for unknown (coalesce), and declare the '
            ~ "same in touched_by: {'column': 'coalesce(…)'}") %}
    {% endif %}
{% endmacro %}

{% macro check_keys_are_unique(relation, condition='true') %}
    {% set columns = unique_key_columns() | join(', ') %}
    {% set found = run_query(
        'select count(*) over (), row_to_json(repeated_keys)::text from (select ' ~ columns ~ ' from ' ~ relation
        ~ ' as key_rows where ' ~ condition ~ ' group by ' ~ columns ~ ' having count(*) > 1) as repeated_keys limit 1') %}
    {% if found %}
        {% do _touched_by_error(
            'the query gives ' ~ found[0][0] ~ ' keys more than once, among them ' ~ found[0][1] ~ ': unique_key is '
            ~ columns ~ '; aggregate or deduplicate to that grain') %}
    {% endif %}
{% endmacro %}
