"""A database that no one here wrote, described by a sources YAML alone, arrives exactly."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from textwrap import dedent

import pytest
from conftest import ROOT, Databases, Project, differences, rows

from runner.connect import connect
from runner.embedded import place

NORTHWIND = ROOT.parent / "shared" / "data" / "northwind.sql"
TABLES = (
    "categories", "customer_customer_demo", "customer_demographics", "customers", "employees",
    "employee_territories", "order_details", "orders", "products", "region", "shippers",
    "suppliers", "territories", "us_states",
)  # fmt: skip
# What the README's lines need of it, where it is not.
SMALL_DUMP = """
create table categories (category_id smallint primary key, category_name text);
create table orders (order_id smallint primary key, order_date date);
insert into categories values (1, 'Beverages');
insert into orders values (10248, '1996-07-04'), (10249, '1996-07-05');
"""
CHANGES = (
    "update products set unit_price = unit_price * 1.1 where product_id <= 7",
    "update customers set city = 'Elsewhere' where customer_id in ('ALFKI', 'WOLZA')",
    "update orders set shipped_date = null, order_date = '1998-05-06' where order_id in (10248, 10249, 10250)",
    "delete from order_details where order_id = 10251",
    "insert into region values (9, 'Nowhere'), (10, 'North of it')",
    "insert into orders (order_id, customer_id, order_date) values (20001, 'ALFKI', '1990-01-01')",
    "insert into order_details values (20001, 1, 3.5, 2, 0), (20001, 2, 'nan', 1, 0.25)",
)

needs_northwind = pytest.mark.skipif(
    not NORTHWIND.is_file(), reason="the Northwind sample database is not beside the checkout"
)


@pytest.fixture
def northwind(databases: Databases, tmp_path: Path) -> Project:
    """A project that describes Northwind, and a source that holds it."""
    folder = tmp_path / "northwind"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: northwind\nprofile: haven\n")
    tables = "\n".join(
        f"      - name: {name}"
        + (
            "\n        config: {meta: {load: {strategy: incremental, watermark: order_date}}}"
            if name == "orders"
            else ""
        )
        for name in TABLES
    )
    (folder / "models" / "sources.yml").write_text(
        "sources:\n  - name: northwind\n    schema: raw_northwind\n"
        f"    config: {{meta: {{load: {{strategy: full}}}}}}\n    tables:\n{tables}\n"
    )
    project = Project(folder, databases.create("source"), databases.create("warehouse"), env={"HAVEN_HOME": str(ROOT)})
    source = project.source
    psql = place.binaries() / "psql"
    done = subprocess.run(
        [psql, "-q", "-h", source.host, "-p", str(source.port), "-U", source.user, "-f", NORTHWIND, source.dbname],
        env={"PGPASSWORD": source.password},
        capture_output=True,
        text=True,
        check=True,
    )
    errors = [line for line in done.stderr.splitlines() if "ERROR" in line]
    # The file sets default_with_oids, which some servers refuse; nothing else may fail.
    assert all("default_with_oids" in line for line in errors), errors
    return project


@needs_northwind
def test_a_foreign_database_arrives_and_its_changes_follow(northwind: Project) -> None:
    first = northwind.haven("load", "--json", "--project-dir", str(northwind.path)).json["tables"]
    assert {t["mode"] for t in first} == {"first"}
    assert sum(differences(northwind, "raw_northwind", TABLES).values()) == 0
    with closing(connect(northwind.source)) as session, session, session.cursor() as cursor:
        changed = 0
        for statement in CHANGES:
            cursor.execute(statement)
            changed += cursor.rowcount
    assert changed == 20
    assert sum(differences(northwind, "raw_northwind", TABLES).values()) > 0
    second = {
        t["table"]: t for t in northwind.haven("load", "--json", "--project-dir", str(northwind.path)).json["tables"]
    }
    assert sum(differences(northwind, "raw_northwind", TABLES).values()) == 0
    moved = {
        name.split(".")[1]: (t["rows_inserted"], t["rows_updated"], t["rows_deleted"])
        for name, t in second.items()
        if t["rows_inserted"] + t["rows_updated"] + t["rows_deleted"]
    }
    assert moved == {
        "products": (0, 7, 0),
        "customers": (0, 2, 0),
        "orders": (1, 3, 0),
        "order_details": (2, 0, 3),
        "region": (2, 0, 0),
    }
    third = northwind.haven("load", "--json", "--project-dir", str(northwind.path)).json["tables"]
    assert sum(t["rows_inserted"] + t["rows_updated"] + t["rows_deleted"] for t in third) == 0


def test_b15_the_lines_of_the_readme_restore_a_dump_beside_the_demo_and_load_it(
    databases: Databases, tmp_path: Path
) -> None:
    """The very lines, in the order of the page, after a demo has filled the source's own database."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text[text.index("## Point it at your own database") :].split("\n## ", 1)[0]
    restore, describe, load = (dedent(block) for block in re.findall(r"```bash\n(.*?)```", section, re.DOTALL))
    lines = re.findall(r"`(name: \w+|profile: \w+)`", section)
    (tmp_path / "northwind").mkdir()
    (tmp_path / "northwind" / "dbt_project.yml").write_text("\n".join(lines) + "\n")
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    dump = NORTHWIND.read_text(encoding="utf-8") if NORTHWIND.is_file() else SMALL_DUMP
    (checkout / "northwind.sql").write_text(dump, encoding="utf-8")
    demo = databases.create("source")
    with closing(connect(demo)) as session:
        rows(session, "create table orders (of_the_demo int)")
    project = Project(checkout, demo, databases.create("warehouse"), env={"HAVEN_HOME": str(ROOT)})
    haven = f'haven() {{ "{sys.executable}" -m runner.cli "$@"; }}'
    path = f'export PATH="{place.binaries()}:$PATH"'
    script = "\n".join(["set -e", haven, path, restore, describe, load])
    try:
        done = project.run("bash", "-c", script)
        assert done.code == 0, done.out + done.err
        with closing(connect(project.warehouse)) as session:
            found = rows(session, "select count(*), count(order_date) from raw_northwind.orders")
        assert found == [(2, 2) if dump == SMALL_DUMP else (830, 830)]
    finally:
        Databases.execute(demo, "drop database if exists {} with (force)", "northwind")
