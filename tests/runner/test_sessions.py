"""Sessions and locks: poolers, what roles and databases set, and a source that is spelled in several ways."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Databases, rows
from test_load import SPEC, Shop
from test_reconcile import look
from test_types import full, open_shop

from runner.connect import connect
from runner.embedded.place import account
from runner.embedded.server import free_port
from runner.errors import ConfigError, LockedError, UnreachableError
from runner.ops import recorded_run
from runner.settings import Connection


@pytest.fixture
def shop(databases: Databases) -> Iterator[Shop]:
    """A shop with three rows that were never loaded."""
    for shop in open_shop(databases.create("source"), databases.create("warehouse")):
        shop.execute("create table item (id integer primary key, name text, updated_at timestamptz)")
        shop.execute("insert into item select n, 'x', now() from generate_series(1, 3) as n")
        yield shop


@contextmanager
def pooled(target: Connection, mode: str) -> Iterator[Connection]:
    """Start pgbouncer before a database and give the connection through it."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("no pgbouncer on this machine")
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="haven-pgbouncer-"))
    config = folder / "pgbouncer.ini"
    config.write_text(
        f"[databases]\n{target.dbname} = host={target.host} port={target.port} dbname={target.dbname} "
        f"user={target.user} password={target.password}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nauth_type = any\npool_mode = {mode}\nunix_socket_dir =\n"
        "ignore_startup_parameters = options\ndefault_pool_size = 10\n"
    )
    who = account()
    if who:
        for path in (folder, config):
            os.chown(path, who["user"], who["group"])
    with subprocess.Popen(
        [program, str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **who
    ) as process:
        try:
            there = replace(target, host="127.0.0.1", port=port, sslmode="disable")
            for _ in range(100):
                try:
                    connect(there).close()
                    break
                except UnreachableError:
                    time.sleep(0.1)
                except ConfigError:
                    break
            yield there
        finally:
            process.terminate()
            shutil.rmtree(folder)


@pytest.mark.parametrize("mode", ["transaction", "statement"])
def test_k7_a_pooler_that_keeps_no_session_is_refused_in_one_sentence(shop: Shop, mode: str) -> None:
    for target, prefix in ((shop.source_settings, "HAVEN_SOURCE_"), (shop.warehouse_settings, "HAVEN_WAREHOUSE_")):
        with pooled(target, mode) as there:
            for _ in range(3):
                with pytest.raises(ConfigError) as refused:
                    connect(there)
                line = str(refused.value)
                assert f"{prefix}HOST and {prefix}PORT lead to a connection pooler" in line
                assert "use the pooler's session mode (pgbouncer: pool_mode = session)" in line
                assert "\n" not in line
                assert refused.value.exit_code == 2
    # No lock was left behind: the next run goes.
    assert shop.load_one().rows_inserted == 3


def test_k7_a_pooler_in_session_mode_is_as_good_as_none(shop: Shop) -> None:
    with (
        pooled(shop.source_settings, "session") as source,
        pooled(shop.warehouse_settings, "session") as warehouse,
        closing(connect(source)) as session,
    ):
        assert rows(session, "select current_setting('row_security'), current_setting('timezone')") == [("off", "UTC")]
        for there in open_shop(source, warehouse):
            assert there.load_one().rows_inserted == 3
            shop.execute("update item set name = 'y', updated_at = now() where id = 2")
            assert there.load_one().rows_updated == 1
            assert look(there, SPEC).status == "ok"


# What an administrator may have set for a role or a database.
HARSH = {
    "statement_timeout": "150ms",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "100ms",
    "idle_session_timeout": "100ms",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "row_security": "on",
    "search_path": "elsewhere",
    "timezone": "America/New_York",
    "datestyle": "German, DMY",
    "intervalstyle": "iso_8601",
    "bytea_output": "escape",
    "extra_float_digits": "-10",
    "xmlbinary": "hex",
    "synchronous_commit": "off",
}


def test_k11_what_a_role_or_a_database_sets_does_not_reach_the_runner(shop: Shop) -> None:
    names = sorted(HARSH)
    shown = "select name, setting from pg_settings where name = any(%s) order by 1"
    with closing(connect(shop.source_settings)) as session:
        usual = rows(session, shown, names)
    for session in (shop.source, shop.warehouse):
        for name, value in HARSH.items():
            ((database,),) = rows(session, "select quote_ident(current_database())")
            text = value if name == "search_path" else f"'{value}'"
            rows(session, f"alter database {database} set {name} = {text}")
    shop.execute("create view public.slow as select item.*, pg_sleep(0.1)::text as waited from public.item")
    shop.source.close()
    shop.warehouse.close()
    shop.source, shop.warehouse = connect(shop.source_settings), connect(shop.warehouse_settings)
    for settings in (shop.source_settings, shop.warehouse_settings):
        with closing(connect(settings)) as session:
            time.sleep(0.3)
            assert dict(rows(session, shown, names)) == dict(usual) | {"synchronous_commit": "local"}
    slow = full("slow", primary_key=("id",), exclude=("updated_at",))
    assert [o.error for o in shop.load(SPEC, slow)] == [None, None]
    assert look(shop, slow).status == "ok"
    assert look(shop, SPEC).status == "ok"


def test_k8_a_source_is_locked_however_it_is_spelled(shop: Shop) -> None:
    one, warehouse = shop.source_settings, shop.warehouse_settings
    here = {"raw_schemas": ("raw", "raw_more")}
    other = replace(one, dbname="quite_another")
    with recorded_run(one, warehouse, run_id="first", command="load", **here) as record:
        # Another spelling, and even another source: what is written is locked.
        for spelled in (replace(one, host="localhost"), other):
            with (
                pytest.raises(LockedError) as refused,
                recorded_run(spelled, warehouse, run_id="second", command="load", raw_schemas=("raw_more",)),
            ):
                pass
            assert "is being loaded by haven load first (backend " in str(refused.value)
        # Two sources with raw schemas of their own go side by side.
        with recorded_run(other, warehouse, run_id="third", command="load", raw_schemas=("raw_b",)) as third:
            third.is_ok = True
        record.is_ok = True
    found = rows(shop.warehouse, "select run_id, source, raw_schemas, status from ops.runs order by 1")
    assert found == [("first", one.place, ["raw", "raw_more"], "ok"), ("third", other.place, ["raw_b"], "ok")]


def test_k8_all_spellings_of_this_machine_are_one_place(shop: Shop) -> None:
    one = shop.source_settings
    hosts = ("localhost", "LOCALHOST.", "127.0.0.1", "::1", "/var/run/postgresql")
    assert len({replace(one, host=host).place for host in hosts}) == 1
    assert replace(one, host="db.example.com").place != one.place


def test_k8_a_killed_run_is_closed_by_the_next_one_of_another_spelling(shop: Shop) -> None:
    shop.load_one()
    rows(
        shop.warehouse,
        "insert into ops.runs (run_id, source, raw_schemas, command, status) "
        "values ('killed', 'old.name:5432/shop', '{raw}', 'load', 'running')",
    )
    with recorded_run(
        shop.source_settings, shop.warehouse_settings, run_id="next", command="load", raw_schemas=("raw",)
    ):
        pass
    assert rows(shop.warehouse, "select status from ops.runs where run_id = 'killed'") == [("failed",)]
