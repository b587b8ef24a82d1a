{#- The number of rows by which two relations differ, in total or per group. -#}
{% test equal_rowcount(model, compare_model, group_by_columns=[]) %}
{{ config(fail_calc='sum(coalesce(diff_count, 0))') }}

{{ dbt_utils._compare_rowcounts(
    model, compare_model, group_by_columns, 'id_dbtutils_test_equal_rowcount', 'count_a', 'count_b'
) }}
select *, abs(count_a - count_b) as diff_count
from compared

{% endtest %}
