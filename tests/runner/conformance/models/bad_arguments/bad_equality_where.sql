-- depends on: {{ ref('mixed') }} {{ ref('mixed_twin') }}
{% if execute %}
    {{ dbt_utils.test_equality('(select * from somewhere)', ref('mixed_twin')) }}
{% endif %}
