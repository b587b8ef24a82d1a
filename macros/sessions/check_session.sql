{% macro check_session() %}
    {#- dbt can say no settings of a session but through `role` in profiles.yml, and another profile lacks
        them. Under another time zone a day of a view or mart would begin at another moment, so such a run
        is refused before it writes anything. -#}
    do $$
    declare
        found constant text := current_setting('TimeZone') || '; ' || current_setting('DateStyle') || '; '
            || current_setting('IntervalStyle') || '; ' || current_setting('search_path') || '; '
            || current_setting('client_encoding');
    begin
        if found <> 'UTC; ISO, MDY; postgres; public; UTF8' then
            raise exception 'the settings of this session are not those of Haven (TimeZone; DateStyle; '
                'IntervalStyle; search_path; client_encoding): %', found
            using hint = 'Use profiles.yml of this project (DBT_PROFILES_DIR), or copy its role to yours; unset PGCLIENTENCODING.';
        end if;
    end
    $$
{% endmacro %}
