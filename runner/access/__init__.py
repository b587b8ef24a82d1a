"""Roles and their rights in the warehouse: `roles.sql`, for psql too, and what applies it (docs/decisions/0017)."""
