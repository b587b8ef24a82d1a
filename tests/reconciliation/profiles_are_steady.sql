-- Columns of loaded tables that are not what they were when they were last profiled. A row here says
-- in `change` what moved: look whether the source did that on purpose.
{{ config(severity='warn') }}

with

changes as (

    select * from {{ ref('profile_changes') }}

),

final as (

    select
        source_name,
        table_name,
        column_name,
        change,
        previous_profiled_on,
        profiled_on
    from changes
    where change is not null

)

select * from final
