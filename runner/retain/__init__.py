"""Retention: what is older than its table's `config.meta.retention` leaves the warehouse (docs/privacy.md)."""
