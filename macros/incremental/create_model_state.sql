{% macro model_state_schema() -%}
    {{ generate_schema_name('model_state', none) | trim }}
{%- endmacro %}

{% macro create_model_state() %}
    {#- `create … if not exists` is not safe against a second session doing the same, so the first
        runs of two people queue on an advisory lock. When the tables exist nothing is locked and
        no privilege is asked for. -#}
    {% set schema_name = model_state_schema() %}
    do $$
    begin
        if to_regclass('{{ schema_name }}.model_builds') is null or not exists (
            select from pg_catalog.pg_attribute
            where attrelid = to_regclass('{{ schema_name }}.model_inputs') and attname = 'content_hash'
        ) then
            perform pg_advisory_xact_lock(hashtextextended('{{ schema_name }}.model_inputs', 0));
            create schema if not exists {{ schema_name }};
            create table if not exists {{ schema_name }}.model_inputs (
                model_name text not null,
                input_name text not null,
                high_load_id bigint,
                updated_at timestamptz not null,
                primary key (model_name, input_name)
            );
            alter table {{ schema_name }}.model_inputs
            alter column high_load_id drop not null,
            add column if not exists build_number bigint,
            add column if not exists content_hash text;
            create table if not exists {{ schema_name }}.model_builds (
                model_name text primary key,
                build_number bigint not null,
                changes_from bigint not null,
                high_load_id bigint,
                updated_at timestamptz not null
            );
            comment on table {{ schema_name }}.model_inputs is
                'Grain: incremental model and input. How far the model has read the input: every load up to '
                'high_load_id of an input that is loaded, every build up to build_number of one that is built; content_hash '
                'is what a seed or plain table held.';
            comment on table {{ schema_name }}.model_builds is
                'Grain: incremental model or snapshot. Its builds are counted; the changed rows of those from '
                'changes_from on are in <model>__changes. A snapshot has read every load up to high_load_id.';
        end if;
    end
    $$
{% endmacro %}
