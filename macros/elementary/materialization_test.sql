{#- dbt takes built-in materializations only from the project itself. Elementary's version of this one
    stores what its anomaly tests found and samples of failing rows; without the package (an offline
    install) dbt's own is used. -#}
{% materialization test, default %}
    {% if elementary.materialization_test_default is defined %}
        {{ return(elementary.materialization_test_default()) }}
    {% else %}
        {{ return(dbt.materialization_test_default()) }}
    {% endif %}
{% endmaterialization %}
