"""The crash matrix: kills the loader and both servers at every point, then checks that nothing is lost or doubled.

`python -m crash` (with tests/runner on the path) or `make crash` runs all of it. Nothing in the product knows of it.
"""
