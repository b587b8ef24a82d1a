"""Describes a source's tables as dbt sources YAML, read from its catalog."""
