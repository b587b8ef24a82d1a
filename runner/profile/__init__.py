"""Profiles of the contract's source tables: `haven profile` and the data dictionary."""

from runner.profile.engine import ProfileRequest, profile_tables
from runner.profile.result import TableProfile

__all__ = ["ProfileRequest", "TableProfile", "profile_tables"]
