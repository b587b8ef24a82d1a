{#- Elementary asks a project to route its tests through its own `test` materialization
    (docs: quickstart, dbt 1.8 and later). Here that leads to dbt's own one. -#}
{% materialization test, default %}
    {%- do return(dbt.materialization_test_default()) -%}
{% endmaterialization %}
