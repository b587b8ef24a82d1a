"""Calls a macro of the project by `dbt run-operation`, as the operator, who may act for the owners of all tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import errors

from runner.connect import as_haven_error, is_connection_message
from runner.dbt import dbt_message, run_dbt
from runner.errors import ConfigError, DataError, HavenError, UnreachableError
from runner.settings import DBT_PASSWORD, Settings, target_folder

_USAGE = errors.InvalidParameterValue
# How macro print_answer begins its line.
_ANSWER = "haven answers: "
# A log of dbt would keep the answer, and its artifacts belong to the last build.
_FLAGS = ("--quiet", "--print", "--no-debug", "--log-format", "text", "--log-level-file", "none", "--no-write-json")


def call_macro(
    settings: Settings, manifest: Mapping[str, Any], macro: str, args: Mapping[str, object], *, key: str | None = None
) -> dict[str, Any]:
    """Run a macro that ends with print_answer, and return its answer.

    `key` is a person's, which no statement or log may show: the session has it, in hexadecimal, as haven.person_key. It
    goes with the login in libpq's PGOPTIONS: only this user and root can see it, and nothing is left of it.

    Raises:
        ConfigError: the project has no such macro, or its YAML or the arguments do not fit it.
        UnreachableError: the connection broke.
        DataError: a statement failed.
    """
    if not any(name.rsplit(".", 1)[-1] == macro for name in manifest["macros"]):
        raise ConfigError(
            f"this project has no macro {macro}: copy the folders macros/erase, macros/retention, macros/sessions and "
            "macros/privacy of Haven into its macros"
        )
    outcome = run_dbt(
        ["run-operation", macro, *_FLAGS, "--args", json.dumps(args)],
        project_dir=settings.project_dir,
        env=_operator_env(settings, key),
    )
    for line in outcome.output.splitlines():
        _, found, text = line.partition(_ANSWER)
        if found and outcome.returncode == 0:
            answer = dict(json.loads(text))
            raise_refusal(answer, key)
            return answer
    raise _failure(outcome.output, settings.project_dir)


def raise_refusal(answer: Mapping[str, Any], key: str | None = None) -> None:
    """Raise the error of an answer that is `refused`; in its message {key} stands for the key."""
    if "refused" not in answer:
        return
    message = answer["refused"].replace("{key}", key or "{key}")
    try:
        kind = errors.lookup(answer["state"])
    except KeyError:  # a state that somebody's own code has made up
        kind = psycopg2.DataError
    raise ConfigError(message) if kind is _USAGE else as_haven_error(kind(message))


def _operator_env(settings: Settings, key: str | None) -> dict[str, str]:
    """Return the environment in which dbt logs in as the runner does, not as the transformer."""
    env = settings.child_env()
    warehouse = settings.connection("warehouse")
    if env["HAVEN_WAREHOUSE_USER"] != warehouse.user:
        # dbt parses everything again for another login: what it keeps for builds stays as it is.
        env["DBT_TARGET_PATH"] = f"{target_folder(env)}/operator"
    env["HAVEN_WAREHOUSE_USER"] = warehouse.user
    for name in {DBT_PASSWORD, "HAVEN_WAREHOUSE_PASSWORD"} & set(env):
        env[name] = warehouse.password
    if key is not None:
        env["PGOPTIONS"] += f" -c haven.person_key={key.encode().hex()}"
    return env


def _failure(output: str, project: Path) -> HavenError:
    """Return the error for what dbt says, in one line without where in Jinja it happened."""
    lines = [line.strip() for line in dbt_message(output, project).splitlines()]
    text = " ".join(line for line in lines if line and not line.startswith(">"))
    text = text.removeprefix("Encountered an error while running operation: ")
    if is_connection_message(text):
        return UnreachableError(f"the connection broke: {text}; run it again", is_transient=True)
    # Which kind of error it is stands in the line that the message leaves out.
    if "Compilation Error" in output or "permission denied" in text:
        return ConfigError(text)
    return DataError(text)
