"""Errors a user can act on. Each carries the exit code the command line ends with.

The message is one line that says what is wrong and how to mend it; it never holds a password.
"""

from __future__ import annotations


class HavenError(Exception):
    """Base of all expected failures; `exit_code` is what the process ends with."""

    exit_code = 1


class DataError(HavenError):
    """Data or quality failure: a table that could not be loaded, a failed test (exit 1)."""

    exit_code = 1


class ConfigError(HavenError):
    """Wrong usage, settings or project files (exit 2)."""

    exit_code = 2


class UnreachableError(HavenError):
    """A database cannot be reached or refuses the login (exit 3).

    `is_transient` says that the same call may work a little later: the server restarts, or has no room just now.
    """

    exit_code = 3

    def __init__(self, message: str, *, is_transient: bool = False) -> None:
        super().__init__(message)
        self.is_transient = is_transient


class LockedError(HavenError):
    """Another run holds the lock (exit 75, EX_TEMPFAIL of sysexits.h)."""

    exit_code = 75
