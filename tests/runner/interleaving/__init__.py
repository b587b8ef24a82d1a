"""Random interleavings: writers commit around and inside loads; after the last one raw must equal the source.

`python -m interleaving` (with tests/runner on the path) or `make interleavings` runs many, on clusters of its own.
"""
