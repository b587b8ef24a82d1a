{#- Disabled. It is here so that a project's `models: elementary:` settings apply to something. -#}
{{ config(enabled=false) }}
select 1 as stand_in
