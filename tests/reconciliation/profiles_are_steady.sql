-- Columns of loaded tables that are not what they were when they were last profiled. A row here
-- says in `what_changed` what moved: look whether the source did that on purpose.
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
        what_changed,
        previous_profiled_on,
        profiled_on
    from changes
    where what_changed is not null

)

select * from final
