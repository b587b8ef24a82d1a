"""Plays histories: several shops at once, each with its own steps, and the builds between them."""

from __future__ import annotations

import random
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass

from psycopg2.extensions import connection as PgConnection

from histories.shop import TABLES, Shop, Step, random_step
from histories.warehouse import Warehouse
from runner.connect import connect

# Each shop is one history; they share the builds, which take nearly all the time.
SHOPS = 10
BUILDS = 3
MOST_HELD = 3
KINDS = ("all", "all", "some", "some", "one refreshed", "empty")
# What whoever edits the models may get wrong: every filter is forgotten, or an input of one model is not declared.
HANDS = (*("careful",) * 4, "no filters", "an input undeclared")
# How often a table's numbers may get two more digits.
MOST_WIDENED = 4


@dataclass(frozen=True)
class Build:
    """One build: of how much, and how. `share` picks the models if not all are built."""

    kind: str
    share: int


@dataclass(frozen=True)
class Example:
    """What happens: before each build some steps in every shop, with models that careless hands may have been at."""

    parts: tuple[tuple[tuple[Step, ...], ...], ...]
    builds: tuple[Build, ...]
    hands: str = "careful"
    share: int = 0


def random_example(rng: random.Random) -> Example:
    """Return any example: 5 to 25 steps in each shop before each build."""
    return Example(
        tuple(
            tuple(tuple(random_step(rng) for _ in range(rng.randint(5, 25))) for _ in range(SHOPS))
            for _ in range(BUILDS)
        ),
        tuple(Build(rng.choice(KINDS), rng.randrange(2**16)) for _ in range(BUILDS - 1)),
        rng.choice(HANDS),
        rng.randrange(2**16),
    )


class _Loads:
    """The loads of one example: each a transaction; some stay open while others, and builds, go on."""

    def __init__(self, warehouse: Warehouse, session: PgConnection, stack: ExitStack) -> None:
        self.warehouse, self.session, self.stack = warehouse, session, stack
        self.held: list[tuple[int, str, PgConnection]] = []
        self.count = 0
        self.widened = dict.fromkeys(TABLES, 0)

    def load(self, shop: Shop, table: str, hours: int = 0) -> None:
        """Load one table of a shop by a clock that goes `hours` wrong, unless an open load is at it."""
        if self._is_held(shop, table):
            return
        with self.session, self.session.cursor() as cursor:
            cursor.execute("select nextval('ops.load_id_seq')")
            shop.load(cursor, table, cursor.fetchone()[0], hours)  # type: ignore[index]

    def widen(self, table: str) -> None:
        """Give the numbers of a table two more digits in raw, as a load does whose source has them."""
        if self.widened[table] == MOST_WIDENED or table in [held[1] for held in self.held]:
            return
        self.widened[table] += 1
        with self.session, self.session.cursor() as cursor:
            cursor.execute(
                """
                select ops.change_column_types(
                    attrelid, array_agg(attname::text),
                    array_agg(format('numeric(%%s, %%s)', digits + 2, scale + 1)), array_agg(false)
                )
                from pg_attribute,
                    lateral (values ((atttypmod - 4) >> 16, (atttypmod - 4) & 2047)) as type (digits, scale)
                where attrelid = %s::regclass and atttypid = 'numeric'::regtype and not attisdropped
                group by attrelid
                """,
                (f"raw.{table}",),
            )

    def hold(self, shop: Shop, table: str, hours: int) -> None:
        """Load one table of a shop without committing, in a run of its own as the runner does."""
        if len(self.held) == MOST_HELD or self._is_held(shop, table):
            return
        self.count += 1
        with self.session, self.session.cursor() as cursor:
            cursor.execute(
                "insert into ops.runs (run_id, source, command, status, loading_from) "
                "select %s, %s, 'load', 'running', last_value from ops.load_id_seq",
                (f"held {self.count}", f"source {self.count}"),
            )
        other = self.stack.enter_context(closing(connect(self.warehouse.connection)))
        with other.cursor() as cursor:
            cursor.execute("select nextval('ops.load_id_seq')")
            shop.load(cursor, table, cursor.fetchone()[0], hours)  # type: ignore[index]
        self.held.append((shop.number, table, other))

    def release(self) -> None:
        """Commit the load that has been open for the shortest time, and end its run."""
        if self.held:
            self.held.pop()[2].commit()
        if not self.held:
            with self.session, self.session.cursor() as cursor:
                cursor.execute("update ops.runs set status = 'ok', loading_from = null where status = 'running'")

    def _is_held(self, shop: Shop, table: str) -> bool:
        return (shop.number, table) in [held[:2] for held in self.held]


def play(warehouse: Warehouse, example: Example) -> dict[str, object]:
    """Let the example happen in a fresh warehouse; return what is wrong after its last build (nothing: empty).

    A build that refuses, by name, an input that is not declared has nothing wrong with it: it ends the example.
    """
    shops = [Shop(number) for number in range(SHOPS)]
    with ExitStack() as stack:
        refusal = stack.enter_context(warehouse.edited(example.hands, example.share))
        session = stack.enter_context(closing(warehouse.reset()))
        loads = _Loads(warehouse, session, stack)
        try:
            _play(warehouse, example, shops, loads)
        except AssertionError as error:
            if not refusal or any(words not in str(error) for words in refusal):
                raise
            warehouse.refusals += 1
            return {}
        found: dict[str, object] = dict(warehouse.differences(session))
        return found | dict(broken_histories(warehouse, session))


def _play(warehouse: Warehouse, example: Example, shops: list[Shop], loads: _Loads) -> None:
    for part, build in zip(example.parts, (*example.builds, None), strict=True):
        for shop, shop_steps in zip(shops, part, strict=True):
            for step in shop_steps:
                _take(shop, step, loads)
        if build is None:
            while loads.held:
                loads.release()
            for shop in shops[::2]:  # the others end with rows that were never loaded
                for table in TABLES:
                    loads.load(shop, table)
            warehouse.build([])
        else:
            _build_some(warehouse, build)


def _take(shop: Shop, step: Step, loads: _Loads) -> None:
    hours = step.variant % 97 - 48
    if step.action == "load":
        # Now and then one table, mostly all that the shop has; a load that stays open is of what changed last.
        for table in (step.table,) if step.number == 0 else TABLES:
            loads.load(shop, table, hours)
    elif step.action == "hold":
        loads.hold(shop, shop.changed_last, hours)
    elif step.action == "widen":
        loads.widen(step.table)
    elif step.action == "release":
        if step.number == 0:
            loads.release()
    else:
        shop.change(step)


def _build_some(warehouse: Warehouse, build: Build) -> None:
    names = warehouse.built()
    some = [name for place, name in enumerate(names) if build.share >> (place % 16) & 1]
    if build.kind == "all":
        warehouse.build([])
    elif build.kind == "empty":
        warehouse.build(warehouse.incremental(), "--empty")
    elif build.kind == "one refreshed":
        models = warehouse.incremental()
        warehouse.build([models[build.share % len(models)]], "--full-refresh")
    elif some:
        warehouse.build(some)


def broken_histories(warehouse: Warehouse, session: PgConnection) -> Iterable[tuple[str, object]]:
    """Yield each dimension of which some entity's versions leave a gap, overlap, or do not begin at its creation."""
    for name, entity, created in (
        ("customers", "customer_id", "created_at"),
        ("vendors", "vendor_id", "created_at"),
        ("products", "product_id", "created_at"),
    ):
        with session, session.cursor() as cursor:
            cursor.execute(
                f"""
                select {entity}
                from (
                    select
                        *,
                        lead(valid_from) over by_time as next_from,
                        lag(version_number) over by_time as number_before,
                        first_value(valid_from) over by_time as first_from
                    from {warehouse.node(f"dim_{name}").relation_name}
                    window by_time as (partition by {entity} order by valid_from)
                ) as versions
                where
                    valid_from >= valid_to
                    or valid_to <> coalesce(next_from, '9999-12-31 00:00:00+00')
                    or is_current <> (next_from is null)
                    or version_number <> coalesce(number_before + 1, least({entity}, 0) + 1)
                    or first_from is distinct from (
                        select {created} from snapshots.{name}_snapshot as seen
                        where seen.{entity} = versions.{entity}
                        order by dbt_valid_from
                        limit 1
                    ) and {entity} <> -1
                """
            )
            if rows := cursor.fetchall():
                yield f"versions of {name}", rows[:5]
