-- what Elementary's tests are attached to
select * from {{ ref('mixed') }}
