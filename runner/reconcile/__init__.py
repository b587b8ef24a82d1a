"""Compares source and raw by hashes per bucket of keys, names what differs, and repairs it (docs/decisions/0007)."""
