{% macro operator_session(application_name) %}
    {#- For a run-operation that changes tables of several owners: names mean PostgreSQL's own objects, rows that a policy
        hides are an error, and a statement may wait and take as long as it has to. -#}
    set search_path to pg_catalog, pg_temp;
    select set_config('application_name', {{ dollar_quoted(application_name) }}, false);
    set timezone to 'UTC';
    set datestyle to 'ISO, MDY';
    set intervalstyle to 'postgres';
    set quote_all_identifiers to off;
    set row_security to off;
    {#- PostgreSQL 16 has no transaction_timeout. What is reported as done must survive a crash of the server. -#}
    select set_config(name, '0', false)
    from pg_settings
    where name in (
        'statement_timeout', 'lock_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout',
        'idle_session_timeout'
    );
    select set_config('synchronous_commit', 'local', false)
    where current_setting('synchronous_commit') = 'off';
    {{ as_owner_function() }}
{% endmacro %}

{% macro print_answer(answer) %}
    {#- One line that `haven` finds in dbt's output, whatever else is there. -#}
    {{ print('haven answers: ' ~ tojson(answer)) }}
{% endmacro %}

{% macro dollar_quoted(text) -%}
    {#- A literal of any text, whatever the session takes backslashes for. -#}
    {%- set tag = '$text' ~ local_md5(text) ~ '$' -%}
    {{ tag ~ text ~ tag }}
{%- endmacro %}
