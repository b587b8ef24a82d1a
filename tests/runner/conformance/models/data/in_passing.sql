-- has no relation in the database, so it cannot be asked for its columns
{{ config(materialized='ephemeral') }}
select 1 as id
