{% macro snapshot_load_strategy(node, snapshotted_rel, current_rel, model_config, target_exists) %}
    {#- Strategy `load` of a snapshot. A row has changed when the load that wrote it is another one, whatever the clock of
        the warehouse said then. A version begins when it was loaded, and always after the one before it: a clock that has
        stepped back must neither hide a change nor put it before what it changed. -#}
    {% set unique_key = config.get('unique_key') %}
    {% set keys = [unique_key] if unique_key is string else unique_key %}
    {% set valid_from = '_loaded_at' %}
    {% if target_exists %}
        {% do check_can_be_written(this) %}
        {% set valid_from %}
            greatest(snapshot_query._loaded_at, (
                select max(earlier.dbt_valid_from) + interval '1 microsecond'
                from {{ this }} as earlier
                where
                    {%- for key in keys %}
                    earlier.{{ key }} = snapshot_query.{{ key }}{{ ' and' if not loop.last }}
                    {%- endfor %}
            ))
        {% endset %}
    {% endif %}
    {{ return({
        'unique_key': unique_key,
        'updated_at': valid_from,
        'row_changed': '(' ~ snapshotted_rel ~ '._load_id, ' ~ snapshotted_rel ~ '._loaded_at) is distinct from ('
            ~ current_rel ~ '._load_id, ' ~ current_rel ~ '._loaded_at)',
        'scd_id': snapshot_hash_arguments(keys + ['_load_id', '_loaded_at']),
        'invalidate_hard_deletes': false,
        'hard_deletes': 'ignore',
    }) }}
{% endmacro %}
