-- Every live review is in fct_reviews once, with its rating. A row here is a review that was lost
-- or doubled by a join, or is gone from the source and was not taken out.
with

source_reviews as (

    select * from {{ ref('stg_clutter_haven__reviews') }}
    where not is_deleted

),

fact_reviews as (

    select * from {{ ref('fct_reviews') }}

)

select
    source_reviews.review_id as source_review_id,
    fact_reviews.review_id as fact_review_id
from source_reviews
full outer join fact_reviews
    on
        source_reviews.review_id = fact_reviews.review_id
        and source_reviews.customer_id = fact_reviews.customer_id
        and source_reviews.rating = fact_reviews.rating
where source_reviews.review_id is null or fact_reviews.review_id is null
