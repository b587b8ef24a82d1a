"""Settings: from the environment, else `.env`, else what `haven up` remembered; validated when first used.

One set of names serves profiles.yml and the runner: HAVEN_SOURCE_*, HAVEN_WAREHOUSE_* and HAVEN_TARGET.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from dotenv import dotenv_values

from runner.errors import ConfigError

Side = Literal["source", "warehouse"]
TARGETS = ("local", "dev", "ci", "prod")
# How often a server looks whether the client of a running statement is still there; it notices nothing otherwise.
CLIENT_CHECK = "client_connection_check_interval"
CLIENT_CHECK_MS = 500
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# Of seconds eleven days; PostgreSQL takes no timeout of more than 24.
MOST = 1_000_000
MAX_PORT = 65535
# What a receiver of alerts is reached at; most addresses hold a secret.
ALERT_PREFIX = "HAVEN_ALERT_"
# The warehouse's password as dbt gets it: for its profile only, and never in a log of its own.
DBT_PASSWORD = "DBT_ENV_SECRET_HAVEN_WAREHOUSE_PASSWORD"  # noqa: S105 (a name)


@dataclass(frozen=True)
class Connection:
    """Where one database is; the password never shows in a repr."""

    side: Side
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    dbname: str
    sslmode: str = "prefer"

    @property
    def label(self) -> str:
        """Return `warehouse user@host:port/dbname`, for messages."""
        return f"{self.side} {self.user}@{self.host}:{self.port}/{self.dbname}"

    @property
    def place(self) -> str:
        """Return `host:port/dbname`, which tells one database from another, whoever connects and by which loopback."""
        host = self.host.rstrip(".").lower()
        if host in ("127.0.0.1", "::1") or host.startswith("/"):
            host = "localhost"
        return f"{host}:{self.port}/{self.dbname}"

    def as_env(self) -> dict[str, str]:
        """Return the HAVEN_<SIDE>_* variables of this connection."""
        prefix = f"HAVEN_{self.side.upper()}_"
        names = ("host", "port", "user", "password", "dbname", "sslmode")
        return {prefix + name.upper(): str(getattr(self, name)) for name in names}


@dataclass(frozen=True)
class Settings:
    """All settings of one call. `values` holds every HAVEN_* variable after merging the sources."""

    home: Path
    project_dir: Path
    values: Mapping[str, str] = field(repr=False)

    @property
    def target(self) -> str:
        """Return the dbt target, one of TARGETS."""
        return self.values.get("HAVEN_TARGET", "local")

    @property
    def target_dir(self) -> Path:
        """Return the folder of dbt's artifacts and of the reports of this target."""
        return self.project_dir / target_folder({**os.environ, **self.values})

    @property
    def schema_prefix(self) -> str:
        """Return what dbt puts before the names of schemas (macros/schemas): a developer's own are apart."""
        return self.values.get("HAVEN_SCHEMA", "dev") + "_" if self.target == "dev" else ""

    @property
    def transformer(self) -> tuple[str, str]:
        """Return user and password of dbt's login, which may be one that can neither write raw nor ops."""
        own = self.connection("warehouse")
        return (
            self.values.get("HAVEN_TRANSFORMER_USER", own.user),
            self.values.get("HAVEN_TRANSFORMER_PASSWORD", own.password),
        )

    def connection(self, side: Side) -> Connection:
        """Return one side's connection. Raises ConfigError naming the variable that is missing or wrong."""
        prefix = f"HAVEN_{side.upper()}_"

        def value(name: str, default: str | None = None) -> str:
            found = self.values.get(prefix + name, "").strip() or default
            if found is None:
                raise ConfigError(
                    f"{prefix}{name} is not set: run `haven up` for databases on this machine, "
                    "or set it in the environment or in .env (see .env.example)"
                )
            return found

        host = value("HOST")
        port = value("PORT", "5432")
        if not port.isdecimal() or not 0 < int(port) <= MAX_PORT:
            raise ConfigError(f"{prefix}PORT is {port!r}; it must be a number from 1 to {MAX_PORT}")
        sslmode = value("SSLMODE", "prefer")
        if sslmode not in SSL_MODES:
            raise ConfigError(f"{prefix}SSLMODE is {sslmode!r}; it must be one of {', '.join(SSL_MODES)}")
        return Connection(
            side=side,
            host=host,
            port=int(port),
            user=value("USER"),
            # Without one, libpq asks ~/.pgpass or the server's other ways to log in.
            password=value("PASSWORD", self.values.get(DBT_PASSWORD, "")),
            dbname=value("DBNAME"),
            sslmode=sslmode,
        )

    def whole_number(self, name: str, default: int) -> int:
        """Return the variable `name` as a number from 0 on. Raises ConfigError if it is something else."""
        return whole_number(self.values, name, default)

    def child_env(self) -> dict[str, str]:
        """Return the environment for dbt and other children: this process's, plus all settings.

        Raises ConfigError if the warehouse's settings are missing or wrong.
        """
        env = {**os.environ, **self.values, **self.connection("warehouse").as_env()}
        # A role of its own for dbt, which may then neither write raw nor ops.
        env["HAVEN_WAREHOUSE_USER"], password = self.transformer
        profiles = self.project_dir / "profiles.yml"
        if not profiles.is_file():
            profiles = Path(env.setdefault("DBT_PROFILES_DIR", str(self.home))) / "profiles.yml"
        # Any model, of a package too, can read a variable and show it; of those with this prefix dbt keeps them away.
        env = {name: value for name, value in env.items() if not _is_kept_from_dbt(name)}
        env[DBT_PASSWORD] = password
        if profiles.is_file() and DBT_PASSWORD not in profiles.read_text(encoding="utf-8"):
            env["HAVEN_WAREHOUSE_PASSWORD"] = password  # a profile of one's own that asks for this one
        env["HAVEN_TARGET"] = self.target
        # Sessions of every client start in UTC, so that a date never depends on the machine.
        env.setdefault("PGTZ", "UTC")
        env["PGOPTIONS"] = with_client_check(env.get("PGOPTIONS", ""))
        return env


def _is_kept_from_dbt(name: str) -> bool:
    """Return whether dbt and other children have no need of a variable: the source's, other logins', secrets."""
    return name.startswith(("HAVEN_SOURCE_", "HAVEN_TRANSFORMER_", "HAVEN_MASK_", ALERT_PREFIX)) or (
        re.fullmatch(r"PGPASSWORD|HAVEN_.*(PASSWORD|SECRET|TOKEN).*", name) is not None
    )


def with_client_check(options: str) -> str:
    """Return libpq's PGOPTIONS with the check for a client that is gone, unless they already set it."""
    return options if CLIENT_CHECK in options else f"{options} -c {CLIENT_CHECK}={CLIENT_CHECK_MS}"


def whole_number(values: Mapping[str, str], name: str, default: int) -> int:
    """Return the variable `name` as a number from 0 to MOST. Raises ConfigError if it is something else."""
    text = values.get(name, "").strip() or str(default)
    if not text.isdecimal() or len(text) > len(str(MOST)) or int(text) > MOST:
        raise ConfigError(f"{name} is {text!r}; it must be a whole number, {MOST} at most")
    return int(text)


def target_folder(env: Mapping[str, str]) -> str:
    """Return where dbt writes, seen from the project: each target has a folder, in dev each set of schemas.

    What one target built or parsed is thus never taken for another's. dbt_project.yml says the same to plain dbt.
    """
    target = env.get("HAVEN_TARGET") or "local"
    own = f"dev_{env.get('HAVEN_SCHEMA') or 'dev'}" if target == "dev" else target
    return env.get("DBT_TARGET_PATH") or ("target" if target == "local" else f"target/{own}")


def find_home(start: Path) -> Path:
    """Return the nearest folder at or above `start` that holds dbt_project.yml, else `start`."""
    for folder in (start, *start.parents):
        if (folder / "dbt_project.yml").is_file():
            return folder
    return start


def state_file(home: Path) -> Path:
    """Return the path of the file in which `haven up` keeps ports and passwords (mode 0600)."""
    return home / ".haven" / "connections.json"


def state_copy(home: Path) -> Path:
    """Return the path of that file's copy, for when it is damaged."""
    return home / ".haven" / "connections.copy.json"


def read_state(home: Path) -> dict[str, Any] | None:
    """Return what `haven up` remembered, or None. Raises ConfigError if the file is damaged, and its copy too."""
    path = state_file(home)
    is_damaged = False
    for file in (path, state_copy(home)):
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            if all(name in found for name in ("data_root", "source", "warehouse")):
                return cast(dict[str, Any], found)
            is_damaged = True
        except FileNotFoundError:
            continue
        except (ValueError, TypeError):
            is_damaged = True
    if is_damaged:
        raise ConfigError(
            f"{path.name} in .haven and its copy are damaged: put them back from a backup, or stop the servers, "
            "remove .haven, and start afresh with `haven up`"
        )
    return None


def load_settings(project_dir: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read settings for the project in `project_dir` (default: the one around the current folder).

    Raises ConfigError if `project_dir` is not a dbt project or HAVEN_TARGET is none of TARGETS.
    """
    environ = os.environ if environ is None else environ
    home = Path(environ["HAVEN_HOME"]) if environ.get("HAVEN_HOME") else find_home(Path.cwd())
    project = (project_dir or home).resolve()
    if not (project / "dbt_project.yml").is_file():
        raise ConfigError(f"no dbt_project.yml in {project}: change to a project's folder or pass --project-dir")
    values: dict[str, str] = {}
    state = read_state(home)
    if state is not None:
        sides: tuple[Side, ...] = ("source", "warehouse")
        for side in sides:
            values |= Connection(side=side, **state[side]).as_env()
    values |= {k: v for k, v in dotenv_values(home / ".env", interpolate=False).items() if v}
    values |= {k: v for k, v in environ.items() if k.startswith("HAVEN_") and v}
    settings = Settings(home=home.resolve(), project_dir=project, values=values)
    if settings.target not in TARGETS:
        raise ConfigError(f"HAVEN_TARGET is {settings.target!r}; it must be one of {', '.join(TARGETS)}")
    schema = values.get("HAVEN_SCHEMA", "dev")
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", schema):
        raise ConfigError(f"HAVEN_SCHEMA is {schema!r}; it must be lower-case letters, digits and underscores")
    return settings
