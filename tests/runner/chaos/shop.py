"""The small project, its databases, and what has to be true of them."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from contextlib import closing
from pathlib import Path

from conftest import ROOT, Project, differences, rows

from runner.connect import connect

TABLES = ("orders", "lines")
MODELS = ("fct_orders", "customer_totals")
_MACROS = ("builds", "elementary", "incremental", "materializations", "schemas", "scd2")


def make_project(folder: Path) -> Path:
    """Make the project in the new folder `folder`: the files here, with the real project's macros."""
    shutil.copytree(Path(__file__).parent / "project", folder)
    for name in _MACROS:
        shutil.copytree(ROOT / "macros" / name, folder / "macros" / name)
    shutil.copy(ROOT / "profiles.yml", folder)
    stand_in = ROOT / "offline_packages" / "elementary"
    shutil.copytree(stand_in, folder / "dbt_packages" / "elementary")
    return folder


def fill(project: Project, orders: int = 2000) -> None:
    """Make the source's tables, and the warehouse's pause."""
    with closing(connect(project.source)) as source:
        rows(
            source,
            "create table orders (order_id int primary key, customer text not null, "
            "updated_at timestamptz not null default now());"
            "create table lines (line_id int primary key, order_id int not null, amount numeric not null, "
            "updated_at timestamptz not null default now());"
            f"insert into orders select n, 'c' || n % 50 from generate_series(1, {orders}) as n;"
            f"insert into lines select n, 1 + n % {orders}, n % 97 from generate_series(1, {orders} * 3) as n",
        )
    with closing(connect(project.warehouse)) as warehouse:
        rows(warehouse, "create table public.pause as select 0.0::float as seconds")


def pause(project: Project, seconds: float) -> None:
    """Let the model `pause` take so long from now on."""
    with closing(connect(project.warehouse)) as warehouse:
        rows(warehouse, "update public.pause set seconds = %s", seconds)


def change(project: Project, rng: random.Random) -> None:
    """Change, move, add and delete some rows of the source, in one transaction."""
    n, other = rng.randrange(1, 2000), rng.randrange(1, 2000)
    with closing(connect(project.source)) as source:
        rows(
            source,
            f"update orders set customer = 'c{rng.randrange(60)}', updated_at = now() where order_id % 97 = {n % 97};"
            f"update lines set order_id = {other}, updated_at = now() where line_id = {n};"
            f"update lines set amount = amount + 1, updated_at = now() where line_id % 89 = {n % 89};"
            f"delete from lines where line_id = {n + 2000};"
            f"insert into lines select max(line_id) + 1, {n}, {other % 50} from lines;"
            f"insert into orders select max(order_id) + 1, 'new' from orders",
        )


def faults(project: Project) -> list[str]:
    """Return what is wrong: rows of raw that differ from the source, rows of models that differ from their SQL."""
    found = [
        f"{count} rows of raw.{name} differ" for name, count in differences(project, "raw", TABLES).items() if count
    ]
    truth = {
        "fct_orders": "select orders.order_id, orders.customer, count(lines.line_id), coalesce(sum(lines.amount), 0) "
        "from orders left join lines using (order_id) group by 1, 2",
        "customer_totals": "select orders.customer, count(distinct orders.order_id), coalesce(sum(lines.amount), 0) "
        "from orders left join lines using (order_id) group by 1",
    }
    with closing(connect(project.source)) as source, closing(connect(project.warehouse)) as warehouse:
        for name, query in truth.items():
            right, stored = (Counter(rows(source, query)), Counter(rows(warehouse, f"table analytics.{name}")))
            if right != stored:
                wrong = sum(((right - stored) + (stored - right)).values())
                found.append(f"{wrong} rows of {name} differ")
        current = "select order_id, customer from snapshots.orders_snapshot where dbt_valid_to is null"
        doubled = rows(warehouse, f"select count(*) from ({current}) as current group by order_id having count(*) > 1")
        if doubled:
            found.append(f"{len(doubled)} orders have two current versions")
        missing = Counter(rows(source, "select order_id, customer from orders")) - Counter(rows(warehouse, current))
        if missing:
            found.append(f"{len(missing)} orders have no current version")
    return found
