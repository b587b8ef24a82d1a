"""Erases a person from the warehouse, and keeps the loader from bringing them back (docs/decisions/0018)."""
