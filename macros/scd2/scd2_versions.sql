{% macro scd2_versions(snapshot_rows, entity_id, unknown={}) %}
    {#- The snapshot's own validity is when Haven first saw a state; facts need when it became true
        in the business. The first version holds from the entity's creation, also if that was seen
        only after the entity was gone; a later one from its change, or its deletion, or, for an
        entity that came back unchanged, from when it was seen again. Source clocks can step back,
        so the start is the running maximum, one microsecond later for each further version:
        max(start - n) + n never ties. The unknown member holds always. -#}
    {%- set type_1 = scd1_columns() -%}
    {%- set type_2 = scd2_columns() -%}
    select
        {{ dbt_utils.generate_surrogate_key([entity_id, 'version_number']) }}
            as {{ modules.re.sub('_id$', '_key', entity_id) }},
        members.*
    from (
        select
            versions.{{ entity_id }},
            {%- for column in type_1 + type_2 %}
            versions.{{ column }},
            {%- endfor %}
            versions.version_number,
            lead(versions.valid_from)
                over (partition by versions.{{ entity_id }} order by versions.version_number)
            is null as is_current,
            versions.is_gone as is_deleted,
            versions.valid_from,
            coalesce(
                lead(versions.valid_from)
                    over (partition by versions.{{ entity_id }} order by versions.version_number),
                '9999-12-31 00:00:00+00'::timestamptz
            ) as valid_to,
            versions._load_id
        from (
            select
                starts.*,
                max(starts.starts_at - starts.version_number * interval '1 microsecond') over (
                    partition by starts.{{ entity_id }}
                    order by starts.version_number
                ) + starts.version_number * interval '1 microsecond' as valid_from
            from (
                select
                    numbered.{{ entity_id }},
                    {%- for column in type_1 %}
                    last_value(numbered.{{ column }}) over (
                        partition by numbered.{{ entity_id }}
                        order by numbered.state_number
                        rows between unbounded preceding and unbounded following
                    ) as {{ column }},
                    {%- endfor %}
                    {%- for column in type_2 %}
                    numbered.{{ column }},
                    {%- endfor %}
                    numbered.version_number,
                    numbered.is_gone,
                    numbered.is_start,
                    numbered.starts_at,
                    max(numbered._load_id)
                        over (partition by numbered.{{ entity_id }}, numbered.version_number)
                    as _load_id
                from (
                    select
                        marked.*,
                        (count(*) filter (where marked.is_start) over (
                            partition by marked.{{ entity_id }}
                            order by marked.state_number
                        ))::integer as version_number
                    from (
                        select
                            states.*,
                            case
                                when lag(states.state_number) over by_entity is null then states.created_at
                                when states.is_gone then states._deleted_at
                                when lag(states.is_gone) over by_entity
                                    and states.updated_at <= lag(states._deleted_at) over by_entity
                                    then states._loaded_at
                                else states.updated_at
                            end as starts_at,
                            lag(states.state_number) over by_entity is null
                            or states.compared <> lag(states.compared) over by_entity
                            as is_start
                        from (
                            select
                                seen_rows.*,
                                seen_rows.seen_number * 2 + state.is_gone::integer as state_number,
                                state.is_gone,
                                {#- As JSON, nulls are equal, too, and any type can be compared. #}
                                jsonb_build_array(
                                    state.is_gone
                                    {%- for column in type_2 %}, seen_rows.{{ column }}{% endfor %}
                                ) as compared
                            from (
                                select
                                    {{ snapshot_rows }}.*,
                                    row_number() over (
                                        partition by {{ snapshot_rows }}.{{ entity_id }}
                                        order by
                                            {{ snapshot_rows }}.dbt_valid_from,
                                            {{ snapshot_rows }}._load_id,
                                            {{ snapshot_rows }}.dbt_scd_id
                                    ) as seen_number
                                from {{ snapshot_rows }}
                            ) as seen_rows
                            cross join lateral unnest(
                                case
                                    when seen_rows.seen_number = 1 and seen_rows.is_deleted
                                        then array[false, true]
                                    else array[coalesce(seen_rows.is_deleted, false)]
                                end
                            ) as state (is_gone)
                        ) as states
                        window by_entity as (
                            partition by states.{{ entity_id }}
                            order by states.state_number
                        )
                    ) as marked
                ) as numbered
            ) as starts
            where starts.is_start
        ) as versions
        union all
        select
            -1,
            {%- for column in type_1 + type_2 %}
            {{ unknown.get(column, 'null') }},
            {%- endfor %}
            0,
            true,
            false,
            '-infinity'::timestamptz,
            '9999-12-31 00:00:00+00'::timestamptz,
            0
    ) as members
{% endmacro %}
