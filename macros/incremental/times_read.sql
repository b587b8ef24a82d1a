{% macro times_read(input) %}
    {#- How often the model's query has the rows of an input in it: on all paths, and on each as often as the readers name
        what they read. -#}
    {% set total = namespace(times=0) %}
    {% for path in input.paths %}
        {% set on_path = namespace(times=1) %}
        {% for node in path[1:] %}
            {% set on_path.times = on_path.times * ([_times_named(path[loop.index0], node), 1] | max) %}
        {% endfor %}
        {% set total.times = total.times + on_path.times %}
    {% endfor %}
    {{ return(total.times) }}
{% endmacro %}

{% macro _times_named(reader, node) %}
    {#- How often the SQL of a model has a relation in it, once each CTE stands where it is named: one that is joined to
        itself counts twice. `#` marks the relation, [] are parentheses, {} those of a CTE. A macro that hides the ref of a
        view counts as none. -#}
    {% set re = modules.re %}
    {% set code = re.sub(
        '(?s)--[^\\n]*|/[*].*?[*]/|[{]#.*?#[}]', ' ', reader.get('compiled_code') or reader.raw_code).replace('#', ' ') %}
    {% set code = re.sub(
        '[{]{2}[^{}]*\\b(?:ref|source)\\s*[(][^()]*[\'"]' ~ re.escape(node.name) ~ '[\'"][^()]*[)][^{}]*[}]{2}', ' # ', code) %}
    {% set code = re.sub("'[^']*'", "''", code) %}
    {% set relation = input_relation(node) %}
    {% set code = re.sub(
        '(?i)(?:"?[\\w$]+"?[.])?"?' ~ re.escape(relation.schema) ~ '"?[.]"?' ~ re.escape(relation.identifier) ~ '"?(?![\\w".])'
        ~ '|\\b__dbt__cte__' ~ re.escape(node.name) ~ '\\b(?!\\s+as\\s*[(])', ' # ', code) %}
    {% set text = namespace(sql=re.sub('[\\[\\]{}]', ' ', code), cte=none, is_done=false) %}
    {#- From the innermost parentheses outwards. -#}
    {% for _ in range(100) if '(' in text.sql %}
        {% set marked = re.sub('(?i)(\\bas(?:\\s+not)?(?:\\s+materialized)?)\\s*[(]([^()]*)[)]', '\\1 {\\2}', text.sql) %}
        {% set text.sql = marked if marked != text.sql else re.sub('[(]([^()]*)[)]', '[\\1]', text.sql) %}
    {% endfor %}
    {% for _ in range(3) %}
        {% set text.sql = re.sub(
            '(?i)(\\b(?:from|join)\\s+["\\w.#]+(?:\\s+(?:as\\s+)?"?\\w+"?)?)\\s*,', '\\1 join ', text.sql) %}
    {% endfor %}
    {% for _ in range(500) if not text.is_done %}
        {% set text.cte = re.search(
            '(?i)(?:\\bwith(?:\\s+recursive)?|\\bwindow|,)\\s*"?(\\w+)"?\\s*(?:\\[[^\\[\\]{}]*\\]\\s*)?'
            ~ 'as(?:\\s+not)?(?:\\s+materialized)?\\s*[{]([^{}]*)[}]', text.sql) %}
        {% if text.cte %}
            {#- Whether it is more than two does not matter. -#}
            {% set marks = '# ' * ([text.cte.group(2).count('#'), 2] | min) %}
            {% set text.sql = re.sub(
                '(?i)\\b(from|join)(?:\\s+lateral\\b|\\s+only\\b|[\\s\\[])*\\s"?' ~ text.cte.group(1) ~ '"?(?![\\w".\\[])', '\\1 ' ~ marks,
                text.sql[:text.cte.start()] ~ ' ' ~ text.sql[text.cte.end():]) %}
        {% endif %}
        {% set text.is_done = not text.cte %}
    {% endfor %}
    {{ return(text.sql.count('#')) }}
{% endmacro %}
