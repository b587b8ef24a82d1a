{#- In the packages, a rule that comes out null passes, and NaN lies above every minimum. dbt looks for
    the body of a package's test in the project first, so these take their place wherever such a test is
    used: a null fails, unless the test's `config.meta.allow_null` says that it may not. -#}
{% macro default__test_expression_is_true(model, expression, column_name) %}
    select {{ '*' if should_store_failures() else '1' }}
    from {{ model }}
    where ({{ column_name ~ ' ' if column_name is not none }}{{ expression }}) {{ 'is false' if config.meta_get('allow_null', false) else 'is not true' }}
{% endmacro %}

{% macro default__test_accepted_range(model, column_name, min_value=none, max_value=none, inclusive=true) %}
    {%- set equal = '=' if inclusive else '' %}
    select *
    from {{ model }}
    where
        (
            {#- As text, which takes any type: an integer cannot be compared with NaN. #}
            {{ column_name }}::text not in ('NaN', 'Infinity', '-Infinity', 'infinity', '-infinity')
            {%- if min_value is not none %}
            and {{ column_name }} >{{ equal }} {{ min_value }}
            {%- endif %}
            {%- if max_value is not none %}
            and {{ column_name }} <{{ equal }} {{ max_value }}
            {%- endif %}
        ) {{ 'is false' if config.meta_get('allow_null', false) else 'is not true' }}
{% endmacro %}

{% macro default__expression_is_true(model, expression, test_condition, group_by_columns, row_condition) %}
    {#- Of dbt_expectations: its tests about values are made of this one. -#}
    select *
    from (
        select
            {% for column in group_by_columns or [] %}
            {{ column }} as col_{{ loop.index }},
            {% endfor %}
            {{ expression }} as expression
        from {{ model }}
        {{ 'where ' ~ row_condition if row_condition }}
        {{ 'group by ' ~ group_by_columns | join(', ') if group_by_columns }}
    ) as evaluated
    where (expression {{ test_condition }}) {{ 'is false' if config.meta_get('allow_null', false) else 'is not true' }}
{% endmacro %}
