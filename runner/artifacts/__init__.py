"""Reads what dbt left in its target folder: manifest.json, run_results.json and sources.json.

Results come from these files and never from log text, which is meant for people and changes between
versions. Only the parts Haven uses are kept, in frozen dataclasses.
"""

from runner.artifacts.nodes import Manifest, Node, load_manifest
from runner.artifacts.results import NodeResult, RunResults, load_freshness, load_run_results

__all__ = ["Manifest", "Node", "NodeResult", "RunResults", "load_freshness", "load_manifest", "load_run_results"]
