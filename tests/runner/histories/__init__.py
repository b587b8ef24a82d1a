"""Random histories: ticks and loads in any order, then every incremental model must equal its full refresh.

`python -m histories` (with tests/runner on the path) or `make histories` runs many of them, on a warehouse of its own.
"""
