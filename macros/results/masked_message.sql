{% macro masked_message(message, kinds) %}
    {#- A message of dbt or PostgreSQL as others may read it: without colours, addresses of mail, values of rows and keys, and
        dbt's password. Of a huge one the beginning, cut before it is searched; NUL and lone surrogates are no text to
        PostgreSQL. Here and not in SQL, so that no statement, and no log of one, holds what is hidden. -#}
    {% if not message %}
        {{ return(none) }}
    {% endif %}
    {% set re = modules.re %}
    {% set text = (message ~ '')[:10000] %}
    {% if (message ~ '') | length > 10000 %}
        {% set text = re.sub('(?s)(Failing row contains |Key \\([^)]*\\)=)\\(.*$', '\\1(•••)', text) %}
        {% set text = re.sub('\\S{0,300}$', '', text) ~ '… (' ~ (message ~ '') | length ~ ' characters)' %}
    {% endif %}
    {% set text = re.sub('\\x1b\\[[0-9;]*m|[\\x00\\ud800-\\udfff]', '', text) %}
    {% set text = re.sub('(?s)(Failing row contains )\\(.*\\)', '\\1(•••)', text) %}
    {% set text = re.sub(email_values(kinds), '•••', text) %}
    {% set text = re.sub('(?m)(Key \\([^)]*\\)=)\\(.*?\\)(?= |$)', '\\1(•••)', text) %}
    {% if 'Database Error' in text %}
        {#- PostgreSQL quotes values and names alike. What it says is a name keeps its quotes, meanwhile others. -#}
        {% set names = 'relation|column|table|view|index|schema|sequence|type|domain|function|operator|constraint|role|user|'
            ~ 'database|trigger|rule|policy|extension|language|partition|key|parameter|reference|near|server' %}
        {% set text = re.sub('\\b(' ~ names ~ ') "([^"\\n]*)"', '\\1 \x01\\2\x02', text) %}
        {% set text = re.sub('"([^"\\n]+)"[.]', '\x01\\1\x02.', text) %}
        {% set text = re.sub('\x02[.]"([^"\\n]+)"', '\x02.\x01\\1\x02', text) %}
        {% set text = re.sub('(?ms): ".*?"$', ': "•••"', text) %}
        {% set text = re.sub('"[^"]*"', '"•••"', text) %}
        {% set text = re.sub('(JSON data, line [0-9]+: )[^\\n]*', '\\1•••', text) %}
        {% set text = re.sub('[\x01\x02]', '"', text) %}
    {% endif %}
    {% set password = adapter.config.credentials.password %}
    {{ return(text.replace(password, '•••') if password else text) }}
{% endmacro %}

{% macro email_values(kinds) %}
    {#- The seed's pattern of addresses of mail; before the seed is there, everything around an @. -#}
    {{ return(kinds | selectattr('kind', 'equalto', 'email') | map(attribute='column_values') | first or '\\S+@\\S+') }}
{% endmacro %}
