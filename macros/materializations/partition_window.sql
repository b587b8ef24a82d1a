{% macro partition_window() %}
    {#- From --event-time-start and --event-time-end, else from the vars partition_start and partition_end;
        rounded outwards to whole partitions, because only whole partitions are replaced. Computed here
        and not in SQL: nothing may be asked of the database while a model is compiled. -#}
    {% if model.config.materialized != 'partitioned' %}
        {{ return(none) }}
    {% endif %}
    {% set spec = partition_spec() %}
    {% set given_from = invocation_args_dict.get('event_time_start') %}
    {% set given_until = invocation_args_dict.get('event_time_end') %}
    {% if var('partition_start', none) is not none or var('partition_end', none) is not none %}
        {% set given_from = var('partition_start', none) %}
        {% set given_until = var('partition_end', none) %}
    {% elif spec.step is not string %}
        {#- A window of time says nothing about partitions by number or by value. -#}
        {{ return(none) }}
    {% endif %}
    {% if given_from is none and given_until is none %}
        {{ return(none) }}
    {% elif given_from is none or given_until is none %}
        {% do _partition_error('a window needs both partition_start and partition_end') %}
    {% elif spec.method == 'list' %}
        {% do _partition_error('a window is for ranges, not for a list') %}
    {% endif %}
    {% if spec.step is string %}
        {% set first = _partition_floor(_partition_moment(given_from), spec.step) %}
        {% set last = _partition_floor(_partition_moment(given_until), spec.step) %}
        {% set until = last if last == _partition_moment(given_until) else _partition_next(last, spec.step) %}
        {% set window = {'from': first.isoformat(' ') ~ '+00', 'until': until.isoformat(' ') ~ '+00'} %}
    {% else %}
        {% set first = given_from | int // spec.step * spec.step %}
        {% set until = (given_until | int + spec.step - 1) // spec.step * spec.step %}
        {% set window = {'from': first, 'until': until} %}
    {% endif %}
    {% if first >= until %}
        {% do _partition_error('a window starts before it ends, got ' ~ given_from ~ ' to ' ~ given_until) %}
    {% endif %}
    {{ return(window) }}
{% endmacro %}

{% macro in_partition_window(column) -%}
    {#- The literals have no type of their own: they become dates, timestamps or numbers as the column is. -#}
    {%- set window = partition_window() -%}
    {%- if window -%}
        ({{ column }} >= '{{ window.from }}' and {{ column }} < '{{ window.until }}')
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{% macro _partition_moment(given) %}
    {#- A date or time as text or as dbt parsed it; without a zone it is UTC. -#}
    {% set form = '(?!0000|9999)\\d{4}-\\d\\d-\\d\\d([ T]\\d\\d.*)?' %}
    {% if not modules.re.fullmatch(form, given | string) %}
        {% do _partition_error(
            'a window is from one date or time to another, of the years 1 to 9998, got ' ~ given
            ~ '; rows of other years come by --full-refresh') %}
    {% endif %}
    {% set moment = modules.datetime.datetime.fromisoformat(given | string) %}
    {% if moment.tzinfo is not none %}
        {% set moment = moment.astimezone(modules.pytz.utc).replace(tzinfo=none) %}
    {% endif %}
    {{ return(moment) }}
{% endmacro %}

{% macro _partition_floor(moment, step) %}
    {% set day = moment.replace(hour=0, minute=0, second=0, microsecond=0) %}
    {% if step == 'week' %}
        {{ return(day - modules.datetime.timedelta(days=day.weekday())) }}
    {% elif step == 'month' %}
        {{ return(day.replace(day=1)) }}
    {% elif step == 'quarter' %}
        {{ return(day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)) }}
    {% elif step == 'year' %}
        {{ return(day.replace(month=1, day=1)) }}
    {% endif %}
    {{ return(day) }}
{% endmacro %}

{% macro _partition_next(start, step) %}
    {#- More days than the step has, fewer than two steps have; then back to where the next one starts. -#}
    {% set days = {'day': 1, 'week': 7, 'month': 31, 'quarter': 92, 'year': 366}[step] %}
    {{ return(_partition_floor(start + modules.datetime.timedelta(days=days), step)) }}
{% endmacro %}
