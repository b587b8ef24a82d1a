{#- What a project with Elementary has: every test goes through the package. -#}
{% materialization test, default %}
    {%- do return(elementary.materialization_test_default()) -%}
{% endmaterialization %}
