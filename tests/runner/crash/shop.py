"""The source that is loaded while things are killed: five tables that change all the time, and their history.

Every commit to the source is a version, known by a digest of each table. What a load left in raw must be a version.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field

from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection

from runner.connect import connect
from runner.contract import TableSpec
from runner.settings import Connection

NAME = "crash harness"
RAW = "raw_shop"
# A lookback this short leaves nothing to luck: a watermark that ran ahead of its rows is seen as rows lost.
_SHORT = "50 milliseconds"


def _spec(name: str, **keys: str | float) -> TableSpec:
    return TableSpec("shop", name, RAW, name, "public", name, **keys, file="crash")  # type: ignore[arg-type]


SPECS = (
    _spec("sale", strategy="incremental", watermark="updated_at", lookback=_SHORT),
    _spec("sale_line", strategy="incremental", watermark="updated_at"),
    _spec("visit", strategy="incremental", watermark="updated_at", lookback=_SHORT, deletes="ignore"),
    # Two of its rows go with every commit, and all of them may have gone between two loads.
    _spec("rate", max_deleted_share=1.0),
    _spec("note"),
)
TABLES = {spec.name: spec for spec in SPECS}
COLUMNS = {
    "sale": ("id", "amount", "remark", "updated_at"),
    "sale_line": ("sale_id", "line", "quantity", "updated_at"),
    "visit": ("id", "page", "updated_at"),
    "rate": ("code", "value"),
    "note": ("body", "stars"),
}
DDL = """
create table sale (
    id bigint generated always as identity primary key, amount numeric, remark text, updated_at timestamptz
);
create table sale_line (
    sale_id bigint references sale on delete cascade, line int, quantity int, updated_at timestamptz,
    primary key (sale_id, line)
);
create table visit (
    id bigint generated always as identity primary key, page text, updated_at timestamptz
);
create table rate (code text primary key, value numeric);
create table note (body text, stars int);
insert into sale (amount, remark, updated_at)
select n / 7.0, repeat('remark ' || n, 12), now() - interval '9 days' from generate_series(1, 2000) as n;
insert into sale_line select id, line, 1, updated_at from sale, generate_series(1, 2) as line;
insert into visit (page, updated_at)
select 'page ' || n, now() - interval '9 days' from generate_series(1, 1000) as n;
insert into rate select 'code ' || n, n from generate_series(1, 100) as n;
insert into note select 'good', n % 5 from generate_series(1, 100) as n;
"""
# Rows come, some of them behind the watermark; rows change and go. Even keys only: odd ones are the late writer's.
CHANGE = """
with fresh as (
    insert into sale (amount, remark, updated_at)
    select n, repeat('new ' || n, 12), now() - interval '2 days' * (n % 3) from generate_series(1, 12) as n
    returning id, updated_at
)
insert into sale_line select id, line, 1, updated_at from fresh, generate_series(1, 2) as line;
with chosen as (select id from sale where id % 2 = 0 order by random() limit 30)
update sale set amount = amount + 1, updated_at = now() from chosen where sale.id = chosen.id;
with chosen as (select sale_id, line from sale_line where sale_id % 2 = 0 order by random() limit 30)
update sale_line set quantity = quantity + 1, updated_at = now()
from chosen where sale_line.sale_id = chosen.sale_id and sale_line.line = chosen.line;
delete from sale where id in (select id from sale where id % 2 = 0 order by random() limit 12);
insert into visit (page, updated_at) select 'page', now() from generate_series(1, 5);
with chosen as (select id from visit where id % 2 = 0 order by random() limit 20)
update visit set page = page || '.', updated_at = now() from chosen where visit.id = chosen.id;
update rate set value = value + 1 where code in (select code from rate order by random() limit 5);
delete from rate where code in (select code from rate order by random() limit 2);
insert into rate select gen_random_uuid()::text, n from generate_series(1, 2) as n;
insert into note select 'good', n from generate_series(1, 5) as n;
delete from note where ctid in (select ctid from note order by random() limit 5);
"""
LATE = """
with fresh as (
    insert into sale (amount, remark, updated_at) values (0, 'late', now()) returning id, updated_at
)
insert into sale_line select id, 1, 1, updated_at from fresh;
with chosen as (select id from sale where id % 2 = 1 order by random() limit 5)
update sale set amount = amount - 1, updated_at = now() from chosen where sale.id = chosen.id;
insert into visit (page, updated_at) values ('late', now());
"""


def _line(name: str) -> sql.Composed:
    return sql.SQL("row({})::text").format(sql.SQL(", ").join(map(sql.Identifier, COLUMNS[name])))


def digest(session: PgConnection, schema: str, name: str, where: str = "true") -> str:
    """Return a digest of a table's rows as a bag, the same on both sides."""
    with session.cursor() as cursor:
        cursor.execute(
            sql.SQL(
                "select md5(coalesce(string_agg(line, e'\\n' order by line collate \"C\"), '')) "
                "from (select {} as line from {} where {}) as lines"
            ).format(_line(name), sql.Identifier(schema, name), sql.SQL(where))
        )
        return str(cursor.fetchone()[0])  # type: ignore[index]


def bag(session: PgConnection, schema: str, name: str, where: str = "true") -> Counter[str]:
    """Return a table's rows as text, each with the number of times it is there."""
    with session.cursor() as cursor:
        cursor.execute(
            sql.SQL("select {} from {} where {}").format(_line(name), sql.Identifier(schema, name), sql.SQL(where))
        )
        return Counter(row[0] for row in cursor.fetchall())


@dataclass
class Shop:
    """The source database; `versions` has the digests of all tables after each commit, in order."""

    source: Connection
    versions: list[dict[str, str]] = field(default_factory=list)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def create(self) -> None:
        """Make and fill the tables."""
        with closing(self.open()) as session:
            self.change(session, DDL)
            self.commit(session)

    def open(self) -> PgConnection:
        """Return a writer's session."""
        session = connect(self.source, application_name=NAME)
        with session, session.cursor() as cursor:
            cursor.execute("set statement_timeout = '30s'")
        return session

    def change(self, session: PgConnection, statements: str = CHANGE) -> None:
        """Change rows, without a commit."""
        with session.cursor() as cursor:
            cursor.execute(statements)

    def commit(self, session: PgConnection) -> None:
        """Commit and remember what the source is then; one writer at a time, so that each version is known."""
        with self._one_at_a_time:
            version = {name: digest(session, "public", name) for name in TABLES}
            # Before the commit: a load may see it the very next moment.
            self.versions.append(version)
            session.commit()

    def look_again(self) -> None:
        """After the source was killed: remember what it is now, as a commit's answer may have been lost."""
        with closing(self.open()) as session:
            self.commit(session)
