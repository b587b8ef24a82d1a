{#- The number of rows this relation has too many: it must have fewer than the other one. -#}
{% test fewer_rows_than(model, compare_model, group_by_columns=[]) %}
{{ config(fail_calc='sum(coalesce(row_count_delta, 0))') }}

{{ dbt_utils._compare_rowcounts(
    model,
    compare_model,
    group_by_columns,
    'id_dbtutils_test_fewer_rows_than',
    'count_our_model',
    'count_comparison_model'
) }}
select
    *,
    case
        when count_our_model > count_comparison_model
            then count_our_model - count_comparison_model
        when count_our_model = count_comparison_model then 1
        else 0
    end as row_count_delta
from compared

{% endtest %}
