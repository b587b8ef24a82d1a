{#- Here so that a project's `models: elementary:` settings apply to something. Disabled, and ephemeral too:
    a project that enables Elementary's models for a target must not get a relation of this one. -#}
{{ config(enabled=false, materialized='ephemeral') }}
select 1 as stand_in
