"""The strategy broken on purpose, one place at a time: histories that pass all of these would prove nothing."""

from __future__ import annotations

from typing import Final

# What is broken: macro, the part of it that is replaced, what it becomes.
MUTANTS: Final = {
    "the mark runs twenty loads ahead": (
        "_changed_values_sql",
        "where input_rows._load_id > {{ mark.get('high_load_id', 0) }}",
        "where input_rows._load_id > {{ mark.get('high_load_id', 0) }} + 20",
    ),
    "the mark passes loads that are under way": ("_high_load_id_sql", "{{ _last_safe_load_id_sql() }}", "null::bigint"),
    "a moved row touches only its new key": ("touched_keys_sql", "{%- if rule.row_id %}", "{%- if false %}"),
    "a group that a row has left is not touched": (
        "_changed_values_sql",
        "where changed_rows._build_number > {{ mark.build_number }}\n    {%- endif -%}",
        "where changed_rows._is_new and changed_rows._build_number > {{ mark.build_number }}\n    {%- endif -%}",
    ),
    "changed validity of a dimension is not seen": (
        "_keys_as_of_sql",
        "where _build_number > {{ build_number }}",
        "where false",
    ),
}
