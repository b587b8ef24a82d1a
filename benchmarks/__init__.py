"""Measures Haven's loads against the same work by hand and by other loaders: `make bench`, docs/performance.md."""
