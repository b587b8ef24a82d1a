{#- For a test that someone enabled by hand: it must not pass without having looked at anything. -#}
{% macro _refuse_to_run() %}
    {%- if execute -%}
        {%- do exceptions.raise_compiler_error(
            'Elementary is only a stand-in here, so this test cannot run. Install the package with '
            ~ '`haven deps --upgrade`, or do not set `enabled: true` on the test.'
        ) -%}
    {%- endif -%}
{% endmacro %}
