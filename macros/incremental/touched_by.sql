{% macro touched_by() %}
    {#- How each input of the model touches its keys: what `meta.touched_by` says, checked against what the model reads, and
        for the inputs it does not name what follows from their columns. While dbt only parses, the graph is not there. -#}
    {% set touch_rules = [] %}
    {% if not execute %}
        {{ return(touch_rules) }}
    {% endif %}
    {% set declared = config.meta_get('touched_by', {}) %}
    {% set used_names = [] %}
    {% set inputs = read_inputs() %}
    {% for input in inputs %}
        {#- The name of a view stands for what lies beneath it, if that is one input or does not carry the key. -#}
        {% set others = [] %}
        {% for other in inputs if other.name != input.name and other.kind != 'whole' %}
            {% do others.extend(other.views) %}
        {% endfor %}
        {% set has_key = input.kind == 'whole' or not missing_columns(input.node, touched_key_columns()) %}
        {% set views = input.views | reject('in', others) | list if has_key else input.views %}
        {% set names = ([input.name] + views) | select('in', declared) | list %}
        {% do used_names.extend([input.name] + input.views) %}
        {% set rule = _parsed_rule(declared[names[0]], input) if names else _derived_rule(input) %}
        {% do rule.update({
            'input_name': input.name,
            'node': input.node,
            'code': input.code,
            'row_keys': state_table(_input_name(model), input.name),
            'changes': state_table(input.name, 'changes'),
            'times_read': none if names or input.kind == 'whole' else times_read(input),
        }) %}
        {% do _check_rule(rule, input) %}
        {% do touch_rules.append(rule) %}
    {% endfor %}
    {% do _check_read_once(touch_rules) %}
    {% for rule in touch_rules if rule.through %}
        {% do rule.update(_looked_up(rule, touch_rules)) %}
    {% endfor %}
    {% for name in declared if name not in used_names %}
        {% do _touched_by_error(
            'touched_by names ' ~ name ~ ', which the model does not read (it reads ' ~ used_names | unique | join(', ')
            ~ '); take it out, or refer to it in the SQL') %}
    {% endfor %}
    {{ return(touch_rules) }}
{% endmacro %}

{% macro _parsed_rule(declared, input) %}
    {% set given = declared if declared is mapping else {'column': declared} %}
    {% set unknown = given.keys()
        | reject('in', ['column', 'through', 'row_id', 'as_of', 'uses', 'moves', 'new', 'static']) | list %}
    {% if unknown %}
        {% do _touched_by_error(
            'touched_by.' ~ input.name ~ ' has ' ~ unknown | join(', ') ~ '; it takes column, through, as_of, uses, '
            ~ 'row_id, moves, new and static') %}
    {% endif %}
    {% set columns = given.get('column') or [] %}
    {% set uses = given.get('uses') or [] %}
    {{ return({
        'kind': 'static' if given.get('static') else 'new' if given.get('new') else input.kind,
        'columns': [columns] if columns is string else columns,
        'through': given.get('through'),
        'as_of': given.get('as_of'),
        'uses': [uses] if uses is string else uses,
        'row_id': given.get('row_id'),
        'moves': given.get('moves', true),
        'new': given.get('new'),
    }) }}
{% endmacro %}

{% macro _looked_up(rule, rules) %}
    {#- The rows of another input name their keys as its own rule says, which may be another form of the column. -#}
    {% set key_columns = touched_key_columns() %}
    {% if rule.through == 'this' %}
        {{ return({'through_rows': this, 'through_columns': key_columns}) }}
    {% endif %}
    {% for other in rules if other.input_name == rule.through %}
        {% set rows = input_rows(other.node) %}
        {% if other.columns and not other.through %}
            {{ return({'through_rows': rows, 'through_columns': other.columns}) }}
        {% endif %}
        {% set missing = missing_columns(other.node, key_columns) %}
        {% for column in key_columns if column in missing or is_made_anew(column, other.code) %}
            {% do _touched_by_error(
                'touched_by looks keys up through ' ~ rule.through ~ ', which has no column ' ~ column ~ ' that is the key as it '
                ~ "is; look them up through an input whose rule says by 'column' alone what key a row belongs to") %}
        {% endfor %}
        {{ return({'through_rows': rows, 'through_columns': key_columns}) }}
    {% endfor %}
    {% do _touched_by_error(
        'touched_by looks keys up through ' ~ rule.through ~ ', which the model does not read (it reads '
        ~ rules | map(attribute='input_name') | join(', ') ~ ')') %}
{% endmacro %}

{% macro _derived_rule(input) %}
    {#- An input that the model does not name touches the keys that its rows carry. -#}
    {% set key_columns = touched_key_columns() %}
    {% set missing = [] if input.kind == 'whole' else missing_columns(input.node, key_columns) %}
    {% if missing %}
        {% do _touched_by_error(
            'reads ' ~ input.name ~ (' (through ' ~ input.views | unique | join(', ') ~ ')' if input.views else '')
            ~ ', which has no column ' ~ missing | join(', ') ~ ' and is not in touched_by. '
            ~ 'Say which keys a changed row of it touches, for example '
            ~ "'" ~ input.name ~ "': {'column': '<its column>', 'through': 'this'}; or {'static': true} if none") %}
    {% endif %}
    {% for column in key_columns if input.kind != 'whole' and is_made_anew(column, input.code) %}
        {% do _touched_by_error(
            'makes ' ~ column ~ ' of something else than the column of that name that ' ~ input.name ~ ' has. Say in '
            ~ "touched_by what key a row of it belongs to, for example '" ~ input.name ~ "': {'column': 'coalesce(" ~ column
            ~ ", -1)'}, or {'column': '" ~ column ~ "'} if it is the same after all") %}
    {% endfor %}
    {{ return({
        'kind': input.kind, 'columns': [] if input.kind == 'whole' else key_columns, 'through': none, 'as_of': none,
        'uses': [], 'row_id': none, 'moves': true, 'new': none,
    }) }}
{% endmacro %}

{% macro _check_read_once(rules) %}
    {#- An input that is read twice may be read by the key and by another column, as the parents of its own rows are; no
        column of it says so. Staging views of one source are one input here. -#}
    {% set counts = {} %}
    {% for rule in rules if rule.times_read is not none %}
        {% set source = stands_for(rule.node) %}
        {% do counts.update({source: counts.get(source, 0) + rule.times_read}) %}
        {% if counts[source] > 1 %}
            {% set keys = touched_key_columns() %}
            {% do _touched_by_error(
                'reads ' ~ rule.input_name ~ ' more than once, perhaps not each time by ' ~ keys | join(', ') ~ '. If each is by it, '
                ~ "say so in touched_by: '" ~ rule.input_name ~ "': " ~ (keys if keys | length > 1 else "'" ~ keys[0] ~ "'")
                ~ '; let what is read by another column be a model or staging view of its own, with a rule of its own') %}
        {% endif %}
    {% endfor %}
{% endmacro %}

{% macro is_made_anew(column, views_code) %}
    {#- Whether the SQL gives something else the name of a key: an expression or another column, but for constants such as
        -1, which no row of an input has. With `as`, without it, or in a list of columns, whose first can be seen to be the
        key itself. Or whether it asks is_touched about an expression. -#}
    {% set code = modules.re.sub(
        '(?s)--[^\\n]*|/[*].*?[*]/|[{]#.*?#[}]', ' ', (model.get('compiled_code') or model.raw_code) ~ views_code) %}
    {% set code = modules.re.sub("'[^']*'", "''", code) %}
    {% set name = '"?' ~ column ~ '"?(?![\\w.(])' %}
    {% set itself = '(?:"?\\w+"?[.])?"?' ~ column ~ '"?' %}
    {#- What may stand before a column that is only read. -#}
    {% set no_value = '(?!(?:select|distinct|all|any|some|as|by|and|or|on|where|not|when|then|else|case|between|symmetric|like|'
        ~ 'ilike|to|escape|is|in|from|for|zone|join|using|having|returning|with|recursive|limit|offset|only|lateral|over|if|'
        ~ 'elif|set)\\b)' %}
    {% set named = modules.re.findall(
        '(?i)(?:\\bas\\s+|[])]\\s*|[}]{2}\\s+|(?<![\\w"])' ~ no_value ~ '(?:"[^"]+"|\\w+)\\s+|' ~ "'\\s+)" ~ name, code) %}
    {% set as_they_are = modules.re.findall(
        '(?i)(?:,|\\bselect(?:\\s+distinct)?)\\s*(?:' ~ itself
        ~ "|(?:null|[-+]?[\\d.]+|'')(?:::[\\w ]+?)?)\\s+(?:as\\s+)?" ~ name
        ~ '|\\bon\\s*[(][^()]*[)]\\s*' ~ name, code) %}
    {#- rows_of (order_id, qty) as (select …), and (select …) as rows_of (order_id, qty). -#}
    {% set column_list = '"?\\w+"?\\s*[(](?:[^()]*,)?\\s*"?' ~ column ~ '"?\\b[^()]*[)]' %}
    {% set listed = modules.re.findall(
        '(?i)(?:\\bwith(?:\\s+recursive)?|,)\\s*' ~ column_list ~ '\\s*as\\s*(?:(?:not\\s+)?materialized\\s*)?[(]'
        ~ '|(?:[)]\\s*|[}]{2}\\s*|\\b(?:from|join)\\s+(?!lateral\\b)[\\w".]+\\s+)(?:as\\s+)?' ~ no_value ~ column_list, code) %}
    {% set listed_as_they_are = modules.re.findall(
        '(?i)(?:\\bwith(?:\\s+recursive)?|,)\\s*"?\\w+"?\\s*[(]\\s*"?' ~ column ~ '"?\\b[^()]*[)]\\s*as\\s*'
        ~ '(?:(?:not\\s+)?materialized\\s*)?[(]\\s*select\\s+(?:distinct\\s+)?' ~ itself ~ '\\s*(?:,|from\\b)', code) %}
    {% set calls = modules.re.findall(
        'is_touched[(]((?:\\s*,?\\s*(?:"[^"]*"|' ~ "'[^']*'" ~ '))+)', modules.re.sub('(?s)[{]#.*?#[}]', ' ', model.raw_code)) %}
    {% set expressions = modules.re.findall('[^\\w\\s."' ~ "',]", calls | join(' ')) %}
    {{ return(
        named | length > as_they_are | length or listed | length > listed_as_they_are | length or expressions != []) }}
{% endmacro %}

{% macro _check_rule(rule, input) %}
    {#- Also fills in row_id: a row that can name another key than it did has to be known again. -#}
    {% set key_columns = touched_key_columns() %}
    {% set problem = namespace(text=none) %}
    {% set is_by_row = rule.kind in ['loaded', 'snapshot'] %}
    {% if rule.kind in ['static', 'new', 'whole'] %}
        {% if rule.kind == 'whole' %}
            {% if rule.columns or rule.through or rule.as_of or rule.uses or rule.row_id or not rule.moves %}
                {% set problem.text = 'does not say which of its rows changed or went: leave the entry out to have its content '
                    ~ 'compared, or declare {static: true} if a change shows after a full refresh only' %}
            {% endif %}
        {% elif rule.columns or rule.through or rule.as_of or rule.uses or rule.row_id %}
            {% set problem.text = 'takes static or new alone' %}
        {% endif %}
    {% elif not rule.columns %}
        {% set problem.text = 'needs column: the one that names the key, or is looked up through another table' %}
    {% elif rule.through and rule.row_id %}
        {% set problem.text = 'takes through or row_id, not both' %}
    {% elif not rule.through and rule.columns | length != key_columns | length %}
        {% set problem.text = 'names ' ~ rule.columns | length ~ ' columns for the touched key ' ~ key_columns | join(', ') %}
    {% elif rule.through and rule.columns | length != 1 %}
        {% set problem.text = 'has to name one column that is looked up through another table' %}
    {% elif rule.as_of and rule.through != 'this' %}
        {% set problem.text = 'takes as_of only with through: this' %}
    {% elif rule.kind != 'built' and (rule.as_of or rule.uses) %}
        {% set problem.text = 'takes as_of and uses only for an input of the touched_keys strategy' %}
    {% elif rule.kind == 'built' and rule.row_id %}
        {% set problem.text = 'needs no row_id: its changes hold the rows as they were' %}
    {% elif is_by_row and rule.moves and not rule.row_id %}
        {% set row_id = input_row_id(input.node) %}
        {% if row_id is none %}
            {% set problem.text = "needs row_id, the column by which its rows are known (it has no test 'unique'), or "
                ~ 'moves: false if a row never names another key than at first' %}
        {% elif row_id in rule.columns %}
            {#- Another key is another row. -#}
        {% elif rule.through or rule.kind == 'snapshot' %}
            {% set problem.text = 'looks up ' ~ rule.columns[0] ~ ', which is not what its rows are known by (' ~ row_id
                ~ '): a row that moves would leave its old key as it was; set moves: false if none ever does' %}
        {% else %}
            {% do rule.update({'row_id': row_id}) %}
        {% endif %}
    {% endif %}
    {% if problem.text %}
        {% do _touched_by_error('touched_by.' ~ input.name ~ ' ' ~ problem.text) %}
    {% endif %}
{% endmacro %}

{% macro _touched_by_error(message) %}
    {% do exceptions.raise_compiler_error(_input_name(model) ~ ': ' ~ message) %}
{% endmacro %}

{% macro unique_key_columns() %}
    {#- The grain. On Citus the key that rows are distributed by has to be in every key. -#}
    {% set declared = config.get('unique_key') or [] %}
    {% set columns = [declared] if declared is string else declared | list %}
    {% set distribution = config.meta_get('distribution') %}
    {% if target.name == 'citus' and distribution and distribution not in columns %}
        {{ return(columns + [distribution]) }}
    {% endif %}
    {{ return(columns) }}
{% endmacro %}

{% macro touched_key_columns() %}
    {#- The columns of the model that together are the key by which it is computed anew. -#}
    {% set declared = config.meta_get('touched_key') or config.get('unique_key') or [] %}
    {% set columns = [declared] if declared is string else declared | list %}
    {{ return(columns if config.meta_get('touched_key') else columns[:1]) }}
{% endmacro %}

{% macro _touched_key_names(columns=none) %}
    {#- What the columns of the touched keys are called: touched_key, touched_key_2, … -#}
    {% set names = [] %}
    {% for column in columns or touched_key_columns() %}
        {% do names.append('touched_key' if loop.first else 'touched_key_' ~ loop.index) %}
    {% endfor %}
    {{ return(names) }}
{% endmacro %}
