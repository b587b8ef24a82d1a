"""Plays histories, one in each of several tables: three writers, and loads by a login that may only read.

Writers also act inside a load: between its look for the highest mark, its lists of open transactions and its snapshot.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection

from runner.connect import connect
from runner.contract import Contract, TableSpec
from runner.load import attempt, engine, marks
from runner.load.outcome import LoadRequest
from runner.ops import recorded_run
from runner.settings import Connection

WRITERS = 3
# Each table is one history of its own; they share writers and loads, which take nearly all the time.
TABLES = 6
READER = "interleaving_reader"
ZONES = ("America/New_York", "Asia/Tokyo", "Pacific/Kiritimati", "America/St_Johns", "UTC")
# What a writer gives as mark. Days go by twenty a second: a real one would never end within a history.
_NUMBER = ("nextval('{table}_mark')",)
KINDS = {
    "timestamptz": ("now()", "clock_timestamp()"),
    "timestamp": ("localtimestamp", "clock_timestamp()::timestamp", "localtimestamp(3)"),
    "date": ("date '2001-01-01' + floor((extract(epoch from now()) - {begun}) * 20)::int",),
    "date at midnight": ("current_date",),
    "bigint": _NUMBER,
    "smallint": _NUMBER,
    "numeric": ("nextval('{table}_mark') / 10.0",),
    "real": ("nextval('{table}_mark')::real / 8",),
    "double precision": ("extract(epoch from now())", "extract(epoch from clock_timestamp())"),
}
# How often a writer does what, before a history makes each rarer or more frequent.
ACTIONS = {"write": 7, "begin": 3, "commit": 3, "rollback": 1, "prepare": 1, "finish": 1, "nap": 1, "linger": 2}


@dataclass(frozen=True)
class Place:
    """A source and a warehouse to play in; `reader` is the login of the loads."""

    owner: Connection
    reader: Connection
    warehouse: Connection
    has_prepared: bool


def made_ready(source: Connection, warehouse: Connection) -> Place:
    """Make the login that may only read."""
    password = secrets.token_urlsafe(9)
    with closing(connect(source)) as session, session, session.cursor() as cursor:
        cursor.execute("select from pg_roles where rolname = %s", (READER,))
        if cursor.fetchone() is None:
            cursor.execute(sql.SQL("create role {} login").format(sql.Identifier(READER)))
        cursor.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(READER), sql.Literal(password)))
        cursor.execute(f"alter default privileges grant select on tables to {READER}")
        cursor.execute("select current_setting('max_prepared_transactions')::int > 0")
        ((has_prepared,),) = cursor.fetchall()
    reader = replace(source, user=READER, password=password)
    return Place(source, reader, warehouse, has_prepared)


def twice_hour(rng: random.Random, at_midnight: bool) -> str:
    """Return a time zone whose clocks go back one hour, one to two seconds from now."""
    change = datetime.now(UTC).replace(microsecond=0, tzinfo=None)
    change += timedelta(seconds=rng.randint(1, 2))
    # PostgreSQL wants offsets of whole minutes.
    wall = timedelta(minutes=0 if at_midnight else rng.randrange(16 * 60), seconds=change.second)
    here = timedelta(hours=change.hour, minutes=change.minute, seconds=change.second)
    offset = (int((wall - here).total_seconds()) + 43200) % 86400 - 43200
    local = change + timedelta(seconds=offset)
    is_after_leap_day = local.year % 4 == 0 and local.month > 2
    day = local.timetuple().tm_yday - is_after_leap_day
    return f"AAA{_posix(offset - 3600)}BBB{_posix(offset)},J1/0,J{day}/{local:%H:%M:%S}"


def _posix(offset: int) -> str:
    """Return an offset in seconds east of Greenwich as POSIX has it: west, with hours, minutes and seconds."""
    size = abs(offset)
    return f"{'-' if offset > 0 else ''}{size // 3600}:{size // 60 % 60:02}:{size % 60:02}"


@dataclass
class _Table:
    name: str
    kind: str
    values: tuple[str, ...]
    spec: TableSpec
    begun: float

    @property
    def may_lose(self) -> bool:
        """Return whether rows are deleted and set back too, which only a sweep finds."""
        return self.spec.deletes == "sweep"


@dataclass
class History:
    """Histories of TABLES tables at once; all chance comes from `rng`."""

    place: Place
    rng: random.Random
    number: int
    log: list[str] = field(default_factory=list)

    def play(self) -> list[str]:
        """Play it and return the tables that differ from the source after the last load."""
        zones = (twice_hour(self.rng, False), twice_hour(self.rng, True), self.rng.choice(ZONES))
        self.zone = self.rng.choice(zones)
        # Busy writers, idle ones that wrote nothing yet, long transactions: each history has a temper of its own.
        tempers = {name: often * self.rng.choice((0.2, 1, 3)) for name, often in ACTIONS.items()}
        # A prepared transaction holds all marks, so that nothing else that does is seen beside it.
        tempers["prepare"] *= self.rng.random() < 0.3
        self.weights = list(tempers.values())
        # A mark is only overtaken where two write to one table.
        self.heat = [self.rng.choice((1, 1, 8)) for _ in range(TABLES)]
        self.prepared: list[str] = []
        self.lingering: set[int] = set()
        with closing(connect(self.place.owner)) as self.session:
            self.kinds = self.rng.sample(list(KINDS), TABLES)
            self.tables = [self._make(number) for number in range(TABLES)]
            self.writers = [self._writer() for _ in range(WRITERS)]
            try:
                with self._hooked():
                    for _ in range(self.rng.randint(3, 5)):
                        self._some(40)
                        late = self._start_late()
                        self._load()
                        # What it writes now may bear the time of its beginning, which the load has passed.
                        for action in ("write", "commit") if self.rng.random() < 0.5 else ():
                            self._step(late, action)
                self._end()
                self._load()
                return [table.name for table in self.tables if self._differs(table)]
            finally:
                self._end()
                self._clean()

    def _make(self, number: int) -> _Table:
        kind = self.kinds[number]
        name, type_ = f"t{self.number}_{number}", kind.split(" at ")[0]
        spec = TableSpec(
            "play", name, "raw_play", name, "public", name,
            strategy="incremental", watermark="mark", deletes=self.rng.choice(("ignore", "sweep")),
            lookback="0 seconds" if type_[:4] in ("time", "date") else "0",
            watermark_timezone=self.zone, file="interleaving",
        )  # fmt: skip
        self._do(
            f"create table {name} (id int primary key, word text, mark {type_}); "
            f"create sequence {name}_mark; create index on {name} (mark)"
        )
        return _Table(name, kind, KINDS[kind], spec, datetime.now(UTC).timestamp())

    def _writer(self) -> PgConnection:
        session = connect(self.place.owner)
        session.autocommit = True
        with session.cursor() as cursor:
            cursor.execute("select set_config('timezone', %s, false)", (self.zone,))
        return session

    def _do(self, statement: str) -> None:
        with self.session, self.session.cursor() as cursor:
            cursor.execute(statement)

    def _some(self, most: int) -> None:
        for action in self.rng.choices(list(ACTIONS), self.weights, k=self.rng.randint(0, most)):
            self._step(self.rng.randrange(WRITERS), action)

    def _start_late(self) -> int:
        """Let a writer begin, perhaps write, and wait until the load is over; others go on. Return which."""
        writer = self.rng.randrange(WRITERS)
        for action in ("begin", *("write",) * self.rng.randrange(2), "linger"):
            self._step(writer, action)
        self._some(6)
        return writer

    def _step(self, writer: int, action: str) -> None:
        """Let a writer do something; what makes no sense now is left out."""
        session = self.writers[writer]
        is_open = session.info.transaction_status != 0
        if writer in self.lingering:
            return
        if action == "linger":  # until the next load is over, whatever is open or not yet written
            self.log.append(f"{writer}: linger")
            self.lingering.add(writer)
        elif action == "write":
            self._run(writer, self._change(writer))
        elif action == "begin" and not is_open:
            self._run(writer, "begin")
        elif action in ("commit", "rollback") and is_open:
            self._run(writer, action)
        elif action == "prepare" and is_open and self.place.has_prepared:
            self.prepared.append(f"p{self.number}_{len(self.log)}")
            self._run(writer, f"prepare transaction '{self.prepared[-1]}'")
        elif action == "finish" and self.prepared:
            self._do_alone(f"commit prepared '{self.prepared.pop(0)}'")
        elif action == "nap":
            self._run(writer, "select pg_sleep(0.06)")

    def _change(self, writer: int) -> str:
        """Return an insert, update or (if only a sweep would find it) delete of one of the writer's own rows."""
        rng = self.rng
        (table,) = rng.choices(self.tables, self.heat)
        mark = rng.choice(table.values).format(table=table.name, begun=table.begun)
        # New keys where a prepared transaction may hold the old ones: nobody waits for anybody's row.
        row = writer + WRITERS * rng.randrange(12) + 100 * len(self.prepared_by(writer))
        word = f"w{len(self.log)}"
        if table.may_lose and rng.random() < 0.15:
            return f"delete from {table.name} where id = {row}"
        if table.may_lose and rng.random() < 0.15:
            return f"update {table.name} set word = '{word}', mark = null where id = {row}"
        return (
            f"insert into {table.name} values ({row}, '{word}', {mark}) "
            "on conflict (id) do update set word = excluded.word, mark = excluded.mark"
        )

    def prepared_by(self, writer: int) -> list[str]:
        """Return all transactions ever prepared, as a writer's new keys begin after them."""
        return [line for line in self.log if line.startswith(f"{writer}: prepare")]

    def _run(self, writer: int, statement: str) -> None:
        self.log.append(f"{writer}: {statement}")
        with self.writers[writer].cursor() as cursor:
            cursor.execute(statement)

    def _do_alone(self, statement: str) -> None:
        self.log.append(statement)
        self.session.autocommit = True
        with self.session.cursor() as cursor:
            cursor.execute(statement)
        self.session.autocommit = False

    @contextmanager
    def _hooked(self) -> Iterator[None]:
        """Have writers act at each step of a load, and instead of its waits."""

        def around(what: Callable[..., Any]) -> Callable[..., Any]:
            def act(*args: Any, **more: Any) -> Any:
                self._some(6)
                answer = what(*args, **more)
                self.log.append(f"-- {getattr(what, '__name__', what)}")
                self._some(6)
                return answer

            return act

        with (
            patch.object(marks, "WAIT_S", 0.02),
            patch.object(marks, "open_transactions", around(marks.open_transactions)),
            patch.object(marks._Prober, "rows", around(marks._Prober.rows)),
            patch.object(attempt, "_export_snapshot", around(attempt._export_snapshot)),
        ):
            yield

    def _load(self) -> None:
        run_id = f"play-{secrets.token_hex(6)}"
        self.log.append("-- load")
        contract = Contract(tuple(table.spec for table in self.tables), ())
        with recorded_run(self.place.reader, self.place.warehouse, run_id=run_id, command="load") as run:
            outcomes = engine.load_tables(
                contract, self.place.reader, self.place.warehouse, LoadRequest(workers=1, retries=0), run=run
            )
            run.is_ok = True
        self.lingering.clear()
        for outcome in outcomes:
            assert outcome.error is None, outcome.error
            self.log.append(f"-- {outcome.table} {outcome.mode} mark {outcome.watermark_to}")

    def _end(self) -> None:
        """End all transactions."""
        for writer, session in enumerate(self.writers):
            if not session.closed and session.info.transaction_status != 0:
                self._run(writer, "commit")
            session.close()
        while self.prepared:
            self._do_alone(f"commit prepared '{self.prepared.pop()}'")

    def _differs(self, table: _Table) -> bool:
        with closing(connect(self.place.warehouse)) as warehouse:
            sides = []
            for session, relation in (
                (self.session, table.name),
                (warehouse, f"raw_play.{table.name} where _deleted_at is null"),
            ):
                with session, session.cursor() as cursor:
                    cursor.execute(f"select id, word, mark::text from {relation} order by id")
                    sides.append(cursor.fetchall())
        if sides[0] != sides[1]:
            lost = sorted(map(str, set(sides[0]) ^ set(sides[1])))
            self.log.append(f"-- {table.name} ({table.kind}, {self.zone}) differs: {lost[:4]}")
        return sides[0] != sides[1]

    def _clean(self) -> None:
        with closing(connect(self.place.warehouse)) as warehouse, warehouse.cursor() as cursor:
            for table in self.tables:
                self._do(f"drop table {table.name}; drop sequence {table.name}_mark")
                cursor.execute(f"drop table if exists raw_play.{table.name}")
            warehouse.commit()
