{% macro model_state_schema() -%}
    {{ generate_schema_name('model_state', none) | trim }}
{%- endmacro %}

{% macro create_model_state() %}
    {#- `create … if not exists` is not safe against a second session doing the same, so the first
        runs of two people queue on an advisory lock. When the table exists nothing is locked and
        no privilege is asked for. -#}
    {% set schema_name = model_state_schema() %}
    do $$
    begin
        if to_regclass('{{ schema_name }}.model_inputs') is null then
            perform pg_advisory_xact_lock(hashtextextended('{{ schema_name }}.model_inputs', 0));
            create schema if not exists {{ schema_name }};
            create table if not exists {{ schema_name }}.model_inputs (
                model_name text not null,
                input_name text not null,
                high_load_id bigint not null,
                updated_at timestamptz not null,
                primary key (model_name, input_name)
            );
            comment on table {{ schema_name }}.model_inputs is
                'Grain: incremental model and input. The highest _load_id of the input that the model has read.';
        end if;
    end
    $$
{% endmacro %}
