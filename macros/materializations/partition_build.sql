{#- Building aside. Everything here happens on tables that no one else can see yet. -#}

{% macro create_partitioned_aside(aside, temp_relation, spec) %}
    {#- A new table for a first build: with the types and constraints of the contract if there is one. -#}
    {% set contract = config.get('contract') %}
    {% call statement('create_aside') %}
        create table {{ aside }}
        {%- if contract and contract.enforced %}
            {{ get_table_columns_and_constraints() }}
        {%- else %}
            (like {{ temp_relation }})
        {%- endif %}
        partition by {{ spec.method }} ({{ adapter.quote(spec.column) }})
    {% endcall %}
{% endmacro %}

{% macro fill_partitions_aside(aside, temp_relation, periods, tail) %}
    {#- Each partition gets a CHECK that says the same as its partition constraint, while it is
        empty: attaching it to another table then needs no scan. Loaded in one pass, without indexes. -#}
    {% if periods %}
        {% call statement('create_partitions') %}
            {% for period in periods %}
                create table {{ partition_relation(partition_name(period.suffix, tail)) }}
                partition of {{ aside }} {{ period.bound }};
            {% endfor %}
        {% endcall %}
        {% call statement('add_checks') %}
            {% for child in partition_children(aside) if not child.is_default %}
                alter table {{ child.relation }} add constraint partition_bound check ({{ child.holds }});
            {% endfor %}
            select 1
        {% endcall %}
        {% set columns = adapter.get_columns_in_relation(aside) | map(attribute='quoted') | join(', ') %}
        {% call statement('fill_partitions') %}
            insert into {{ aside }} ({{ columns }})
            select {{ columns }} from {{ temp_relation }}
        {% endcall %}
    {% endif %}
{% endmacro %}

{% macro create_partition_aside(name, target_relation) %}
    {#- One empty partition like its table, for `attach`, which no reader waits for. -#}
    create table {{ partition_relation(name) }}
    (like {{ target_relation }} including all excluding identity excluding comments);
{% endmacro %}
