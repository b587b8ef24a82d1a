{% macro scd2_versions(relation, entity_id) %}
    {#- The snapshot's own validity is when Haven first saw a version; facts need when it became
        true in the business. The first version holds from the entity's creation; a later one from
        its change, or its deletion. Source clocks can step back, so the start is the running
        maximum, one microsecond later for each further version: max(start - n) + n never ties. -#}
    select
        starts.*,
        coalesce(
            lead(starts.valid_from)
                over (partition by starts.{{ entity_id }} order by starts.version_number),
            '9999-12-31 00:00:00+00'::timestamptz
        ) as valid_to,
        lead(starts.valid_from)
            over (partition by starts.{{ entity_id }} order by starts.version_number)
        is null as is_current
    from (
        select
            versions.*,
            max(
                case
                    when versions.version_number = 1 then versions.created_at
                    when versions.is_deleted then versions._deleted_at
                    else versions.updated_at
                end - versions.version_number * interval '1 microsecond'
            ) over (
                partition by versions.{{ entity_id }}
                order by versions.version_number
            ) + versions.version_number * interval '1 microsecond' as valid_from
        from (
            select
                snapshot_rows.*,
                (row_number() over (
                    partition by snapshot_rows.{{ entity_id }}
                    order by snapshot_rows.dbt_valid_from, snapshot_rows.dbt_scd_id
                ))::integer as version_number
            from (select * from {{ relation }}) as snapshot_rows
        ) as versions
    ) as starts
{% endmacro %}
