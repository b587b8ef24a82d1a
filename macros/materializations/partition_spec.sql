{% macro partition_spec() %}
    {#- Reads and checks the settings of a partitioned model once, so that the other macros need not. -#}
    {% set steps = ['day', 'week', 'month', 'quarter', 'year'] %}
    {% set given = config.get('partition_by') %}
    {% if given is not mapping or 'column' not in given %}
        {% do _partition_error("needs partition_by={'column': …, 'step': …}, got " ~ given) %}
    {% endif %}
    {% set spec = {
        'method': given.get('method', 'range'),
        'column': given['column'],
        'step': given.get('step'),
        'from': given.get('from'),
        'until': given.get('until'),
        'groups': given.get('groups'),
        'default': given.get('default', false),
    } %}
    {% set unknown = given.keys() | reject('in', spec.keys()) | list %}
    {% if unknown %}
        {% do _partition_error('partition_by takes ' ~ spec.keys() | join(', ') ~ '; got ' ~ unknown | join(', ')) %}
    {% elif spec.method == 'list' %}
        {% if spec.step is not none or spec.from is not none or spec.until is not none %}
            {% do _partition_error('step, from and until are for ranges, not for a list') %}
        {% elif spec.groups is not none and (spec.groups is not mapping or not spec.groups) %}
            {% do _partition_error('groups is a mapping of names to lists of values, got ' ~ spec.groups) %}
        {% endif %}
    {% elif spec.method != 'range' %}
        {% do _partition_error("partition_by.method is 'range' or 'list', got " ~ spec.method) %}
    {% elif spec.groups is not none %}
        {% do _partition_error('groups is for a list, not for ranges') %}
    {% elif not (spec.step in steps or (spec.step is integer and spec.step is not boolean and spec.step > 0)) %}
        {% do _partition_error(
            'partition_by.step is ' ~ steps | join(', ') ~ ' or a whole number above 0, got ' ~ spec.step) %}
    {% endif %}
    {% for index in config.get('indexes', []) or [] %}
        {% if index.get('unique') and spec.column not in index['columns'] %}
            {% do _partition_error(
                'a unique index of a partitioned table has to contain the partition column '
                ~ spec.column ~ ', this one does not: ' ~ index['columns'] | join(', ')) %}
        {% endif %}
    {% endfor %}
    {% do spec.update(_partition_locking()) %}
    {% do spec.update({'retention': _partition_retention(spec)}) %}
    {{ return(spec) }}
{% endmacro %}

{% macro _partition_locking() %}
    {% set given = config.get('partition_lock', {}) %}
    {% set locking = {
        'lock_timeout_ms': given.get('timeout_ms', 50),
        'lock_patience_s': given.get('patience_s', 300),
    } %}
    {% set unknown = given.keys() | reject('in', ['timeout_ms', 'patience_s']) | list %}
    {% if unknown or locking.values() | reject('integer') | list or locking.values() | min < 1 %}
        {% do _partition_error(
            'partition_lock takes timeout_ms and patience_s, whole numbers above 0; got ' ~ given) %}
    {% endif %}
    {{ return(locking) }}
{% endmacro %}

{% macro _partition_retention(spec) %}
    {% set given = config.get('retention') %}
    {% if not given %}
        {{ return(none) }}
    {% endif %}
    {% set is_by_time = spec.step is string %}
    {% set retention = {
        'limit': given.get('keep' if is_by_time else 'before'),
        'action': given.get('action'),
        'schema': given.get('schema'),
    } %}
    {% set unknown = given.keys()
        | reject('in', ['keep' if is_by_time else 'before', 'action', 'schema']) | list %}
    {% if spec.method == 'list' %}
        {% do _partition_error('retention is for ranges, not for a list') %}
    {% elif unknown or retention.limit is none %}
        {% do _partition_error(
            ("retention takes keep (an interval such as '24 months')" if is_by_time
             else 'retention takes before (a number)')
            ~ ', action and schema; got ' ~ given) %}
    {% elif is_by_time and not modules.re.match('[1-9][0-9]{0,3} (day|week|month|year)s?$', retention.limit | string) %}
        {#- A minus, or a unit that is missing, would retire what is wanted. -#}
        {% do _partition_error("retention.keep is a number of days, weeks, months or years, such as '24 months', got "
            ~ retention.limit) %}
    {% elif not is_by_time and retention.limit is not number %}
        {% do _partition_error('retention.before is a number, got ' ~ retention.limit) %}
    {% elif retention.action not in ['drop', 'detach', 'archive'] %}
        {% do _partition_error('retention.action is drop, detach or archive, got ' ~ retention.action) %}
    {% elif (retention.action == 'archive') != (retention.schema is not none) %}
        {% do _partition_error('retention.schema goes with action archive, and only with it') %}
    {% endif %}
    {{ return(retention) }}
{% endmacro %}

{% macro _partition_error(message) %}
    {% do exceptions.raise_compiler_error(model.name ~ ': ' ~ message) %}
{% endmacro %}
