"""Type fidelity: whatever PostgreSQL can hold arrives bit for bit, or the table fails and says why."""

from __future__ import annotations

import io
import resource
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from conftest import Databases, rows
from psycopg2 import sql
from psycopg2.extensions import connection as PgConnection
from test_load import SPEC, Shop
from zoo import AS_TEXT, BUILT_IN, MADE, SETUP, UNWRITABLE, Kind

from runner.contract import TableSpec
from runner.load import merge
from runner.settings import Connection

FULL = replace(SPEC, strategy="full", watermark=None)
INFINITE_INTERVALS = 170000


def full(name: str, **changes: Any) -> TableSpec:
    """Return the spec of a table that is loaded whole."""
    return replace(FULL, **{"name": name, "raw_table": name, "source_table": name} | changes)


@pytest.fixture
def shop(databases: Databases) -> Iterator[Shop]:
    """An empty shop on PostgreSQL 18."""
    yield from open_shop(databases.create("source"), databases.create("warehouse"))


def open_shop(source: Connection, warehouse: Connection) -> Iterator[Shop]:
    """Yield a shop of these databases, and close its sessions."""
    shop = Shop(source, warehouse)
    yield shop
    shop.source.close()
    shop.warehouse.close()


def refusal(shop: Shop, spec: TableSpec) -> tuple[int, str]:
    """Load a table that cannot be; return the exit code and the one line that says why."""
    (outcome,) = shop.load(spec)
    assert outcome.error is not None
    assert "\n" not in outcome.error
    return outcome.exit_code, outcome.error


def shape(session: PgConnection, relation: str) -> dict[str, tuple[str, bool]]:
    """Return each column's type and whether it is NOT NULL, in order."""
    return {
        name: (kind, is_not_null)
        for name, kind, is_not_null in rows(
            session,
            "select attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute "
            "where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum",
            relation,
        )
    }


def sent(session: PgConnection, query: sql.Composable) -> bytes:
    """Return what the binary send functions make of a query's rows."""
    out = io.BytesIO()
    with session, session.cursor() as cursor:
        cursor.copy_expert(sql.SQL("copy ({}) to stdout (format binary)").format(query), out)
    return out.getvalue()


# --- the zoo: every type, first load, changed rows, new and deleted rows, silent changes


class Zoo:
    """Three wide tables, each with a key and without: built-in types, arrays of them, and what users make."""

    TABLES = ("plain", "arrays", "made")

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.columns: dict[str, dict[str, Kind]] = {name: {} for name in self.TABLES}
        shop.execute(SETUP)
        offered = {row[0] for row in rows(shop.source, "select name from pg_available_extensions")}
        for name, kind in self._built_in().items():
            self.columns["plain"][name] = kind
            self.columns["arrays"][name] = self._array_of(kind)
        for number, kind in enumerate(MADE):
            if kind.extension is not None:
                if kind.extension not in offered:
                    continue
                shop.execute(f"create extension if not exists {kind.extension}")
            self.columns["made"][f"made_{number}"] = kind
        for table, columns in self.columns.items():
            self._create(table, columns)

    def _built_in(self) -> dict[str, Kind]:
        found = dict(
            rows(
                self.shop.source,
                "select typname, format_type(oid, -1) from pg_type "
                "where typnamespace = 'pg_catalog'::regnamespace and typtype in ('b', 'r', 'm') "
                "and not exists (select from pg_type as e where e.typarray = pg_type.oid)",
            )
        )
        unknown = set(found) - set(BUILT_IN) - UNWRITABLE
        assert not unknown, f"types that no test covers: {unknown}"
        has_xml = all(has_libxml(s) for s in (self.shop.source, self.shop.warehouse))
        return {
            name: Kind(found[name], "text" if name in AS_TEXT else found[name], self._values(name))
            for name in BUILT_IN
            if name in found and (name != "xml" or has_xml)
        }

    def _values(self, name: str) -> tuple[str, ...]:
        sides = (self.shop.source, self.shop.warehouse)
        if name == "interval" and min(s.server_version for s in sides) >= INFINITE_INTERVALS:
            return ("'infinity'", "'-infinity'", *BUILT_IN[name])
        return BUILT_IN[name]

    @staticmethod
    def _array_of(kind: Kind) -> Kind:
        first, last = kind.values[0], kind.values[-1]
        element = kind.declared
        return Kind(
            f"{element}[]",
            f"{kind.raw}[]",
            (
                "'{}'",
                f"array[{first}, null, {last}]::{element}[]",
                f"array_fill(({last})::{element}, array[2, 1, 2], array[-1, 0, 7])",
                "'{null}'",
            ),
        )

    def _create(self, table: str, columns: dict[str, Kind]) -> None:
        names = [sql.Identifier(f"{table}_{name}") for name in columns]
        body = sql.SQL(", ").join(
            sql.SQL("{} {}").format(name, sql.SQL(kind.declared))
            for name, kind in zip(names, columns.values(), strict=True)
        )
        count = max(len(kind.values) for kind in columns.values())
        self.shop.execute(
            sql.SQL("create table {0} (id int primary key, {1}, updated_at timestamptz)").format(
                sql.Identifier(table), body
            )
        )
        # The last row is all null.
        for number in range(count + 1):
            values = [
                sql.SQL("({})::{}").format(
                    sql.SQL(kind.values[number] if number < len(kind.values) else "null"),
                    sql.SQL(kind.declared.split(" collate")[0]),
                )
                for kind in columns.values()
            ]
            self.shop.execute(
                sql.SQL("insert into {} values ({}, {}, '2026-01-01 00:00+00')").format(
                    sql.Identifier(table), sql.Literal(number), sql.SQL(", ").join(values)
                )
            )
        self.shop.execute(f"create table {table}_bag as table {table}")

    def specs(self) -> list[TableSpec]:
        """Return the specs of all six tables."""
        keyed = [replace(SPEC, name=name, raw_table=name, source_table=name) for name in self.TABLES]
        return keyed + [full(f"{name}_bag") for name in self.TABLES]

    def turn(self, *, is_seen: bool = True) -> None:
        """Give every row the values of the next one; `is_seen`: with a newer watermark."""
        for table, columns in self.columns.items():
            changes = sql.SQL(", ").join(
                sql.SQL("{0} = next.{0}").format(sql.Identifier(f"{table}_{name}")) for name in columns
            )
            for relation in (table, f"{table}_bag"):
                self.shop.execute(
                    sql.SQL(
                        "update {0} as target set {1}{2} from {0} as next where next.id = "
                        "(target.id + 1) % (select count(*) from {0})"
                    ).format(
                        sql.Identifier(relation),
                        changes,
                        sql.SQL(", updated_at = clock_timestamp()" if is_seen else ""),
                    )
                )

    def load(self, **request: Any) -> list[tuple[str, str, int]]:
        """Load all tables; return table, mode and rows changed."""
        outcomes = self.shop.load(*self.specs(), **request)
        assert [(o.table, o.error) for o in outcomes if o.error] == []
        return [(o.table, str(o.mode), o.rows_moved) for o in outcomes]

    def differences(self) -> list[str]:
        """Return the columns whose bytes differ between source and raw."""
        found = []
        for table, columns in self.columns.items():
            for relation in (table, f"{table}_bag"):
                for name, kind in columns.items():
                    column = sql.Identifier(f"{table}_{name}")
                    is_other = kind.raw != kind.declared
                    there = sql.SQL("select id, {}{} from {} order by id").format(
                        column, sql.SQL(f"::{kind.raw}" if is_other else ""), sql.Identifier(relation)
                    )
                    here = sql.SQL("select id, {} from raw.{} where _deleted_at is null order by id").format(
                        column, sql.Identifier(relation)
                    )
                    if sent(self.shop.source, there) != sent(self.shop.warehouse, here):
                        found.append(f"{relation}.{name} ({kind.declared})")
        return found


def has_libxml(session: PgConnection) -> bool:
    """Return whether the server was built to take xml."""
    return rows(
        session, "select exists (select from pg_config where name = 'CONFIGURE' and setting ~ 'with-libxml')"
    ) == [(True,)]


@pytest.fixture(params=["18", "15", "15 to 15"])
def zoo(databases: Databases, request: pytest.FixtureRequest) -> Iterator[Zoo]:
    """The zoo in a source of that version; Debian's 15 also as warehouse, because it has xml."""
    if request.param == "18":
        source, warehouse = databases.create("source"), databases.create("warehouse")
    else:
        source = request.getfixturevalue("debian_source")
        warehouse = databases.create("warehouse")
        if request.param == "15 to 15":
            warehouse = replace(source, side="warehouse", dbname=f"{source.dbname}_raw")
            Databases.execute(source, "create database {}", warehouse.dbname)
    for shop in open_shop(source, warehouse):
        yield Zoo(shop)
    if request.param == "15 to 15":
        Databases.execute(source, "drop database {} with (force)", warehouse.dbname)


@pytest.mark.parametrize("hashed_from", [merge.HASHED_FROM_BYTES, 0], ids=["copied", "hashed"])
def test_every_type_arrives_bit_for_bit(zoo: Zoo, hashed_from: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "HASHED_FROM_BYTES", hashed_from)
    assert all(mode == "first" for _, mode, _ in zoo.load())
    assert zoo.differences() == []
    for table, columns in zoo.columns.items():
        found = shape(zoo.shop.warehouse, f"raw.{table}")
        wanted = {f"{table}_{name}": kind.raw for name, kind in columns.items()}
        assert {name: found[name][0] for name in wanted} == wanted

    assert [moved for _, _, moved in zoo.load()] == [0] * 6

    zoo.turn()
    assert [mode for _, mode, _ in zoo.load()] == ["incremental"] * 3 + ["full"] * 3
    assert zoo.differences() == []

    for table in zoo.TABLES:
        for relation in (table, f"{table}_bag"):
            zoo.shop.execute(f"update {relation} set id = 100, updated_at = now() where id = 0")
    zoo.load()
    assert zoo.differences() == []
    for table in zoo.TABLES:
        for relation in (table, f"{table}_bag"):
            zoo.shop.execute(f"update {relation} set id = 0, updated_at = now() where id = 100")

    zoo.turn(is_seen=False)
    assert [mode for _, mode, _ in zoo.load(full=True)] == ["full"] * 6
    assert zoo.differences() == []
    assert [moved for _, _, moved in zoo.load(full=True)] == [0] * 6


def test_types_of_postgresqls_own_catalogs_arrive_as_their_text(shop: Shop) -> None:
    shop.execute("create table item (a int default 1, b int, words gtsvector)")
    shop.execute("insert into item (a, b) select n % 3, n % 3 from generate_series(1, 99) as n")
    shop.execute("create statistics s (ndistinct, dependencies, mcv) on a, b from item")
    rows(shop.source, "analyze item")
    shop.execute(
        "create view inside as select adbin, stxdndistinct, stxddependencies, stxdmcv "
        "from pg_attrdef, pg_statistic_ext_data"
    )
    stats = full("pg_stats", source_schema="pg_catalog", columns=("attname", "most_common_vals"))
    for spec, columns in (
        (full("inside"), "adbin, stxdndistinct, stxddependencies, stxdmcv"),
        (replace(stats, raw_table="stats"), "attname, most_common_vals"),
    ):
        shop.load_one(spec)
        query = f"select row({columns})::text from "
        there = rows(shop.source, f"{query} {spec.source_table}")
        found = rows(shop.warehouse, f"{query} raw.{spec.raw_table}")
        assert sorted(found) == sorted(there)
        assert "{" in str(found)
    outcome = shop.load_one(FULL)
    assert outcome.rows_inserted == 99


def test_an_infinite_interval_is_refused_by_a_warehouse_that_has_none(
    databases: Databases, debian_source: Connection
) -> None:
    warehouse = replace(debian_source, side="warehouse")
    for shop in open_shop(databases.create("source"), warehouse):
        shop.execute("create table item (id int primary key, a interval, b interval(0)[])")
        shop.execute("insert into item values (1, '1 day', '{1 day,null}'), (2, null, null)")
        assert shop.load_one(FULL).rows_inserted == 2
        assert rows(shop.warehouse, "select a::text, b::text from raw.item where id = 1") == [
            ("1 day", '{"1 day",NULL}')
        ]
        for values in ("(3, '-infinity', null)", "(3, null, '{1 day,infinity}')"):
            shop.execute(f"insert into item values {values}")
            code, error = refusal(shop, FULL)
            assert code == 1
            assert "the warehouse, older than PostgreSQL 17, cannot hold" in error
            assert "infinity" in error
            shop.execute("delete from item where id = 3")


# --- columns: NOT NULL, order, keys, generated, names, numbers of them


def test_raw_keeps_the_order_of_columns_and_their_not_null(shop: Shop) -> None:
    shop.execute(
        "create table item (z text not null, id int primary key, a text not null, n text, "
        "twice int not null generated always as (id * 2) stored, "
        "computed int generated always as (id * 3) virtual, "
        "serial int generated by default as identity)"
    )
    shop.execute("insert into item (z, id, a) values ('z', 7, 'a')")
    shop.load_one(FULL)
    found = shape(shop.warehouse, "raw.item")
    assert list(found)[:7] == ["z", "id", "a", "n", "twice", "computed", "serial"]
    assert [name for name, (_, is_not_null) in found.items() if is_not_null] == [
        "z", "id", "a", "twice", "serial", "_loaded_at", "_load_id",
    ]  # fmt: skip
    assert rows(shop.warehouse, "select twice, computed, serial from raw.item") == [(14, 21, 1)]
    shop.execute("delete from item")
    assert shop.load_one(FULL).rows_deleted == 1


def test_a_not_null_that_does_not_hold_for_every_row_is_not_kept(shop: Shop) -> None:
    shop.execute("create table parent (id int, a text not null no inherit)")
    shop.execute("create table child () inherits (parent)")
    shop.execute("insert into child values (1, null)")
    shop.execute("create table late (id int, a text)")
    shop.execute("insert into late values (1, null)")
    shop.execute("alter table late add constraint a_there not null a not valid")
    shop.load(full("parent"), full("late"))
    for name in ("parent", "late"):
        assert rows(shop.warehouse, f"select id, a from raw.{name}") == [(1, None)]


ODD_NAMES = (
    'Mixed "Case"', "select", "naïve ☃", "100%", "%s %(a)s", "it's", "back\\slash", "a.b", "{}", "",
    "x" * 63, "é" * 31, " ",
)  # fmt: skip


def test_any_name_will_do(shop: Shop) -> None:
    names = [name or "target" for name in ODD_NAMES]
    quoted = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(n)) for n in names)
    specs = []
    for name in names:
        schema, raw = f"s {name}"[:60], f"raw {name}"[:20]
        relation = sql.Identifier(schema, name)
        shop.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(schema)))
        shop.execute(
            sql.SQL("create table {} ({}, {} int, {} timestamptz, primary key ({}, {}))").format(
                relation,
                quoted,
                sql.Identifier("%key%"),
                sql.Identifier("%wäter'mark\""),
                sql.Identifier(name),
                sql.Identifier("%key%"),
            )
        )
        values = sql.SQL(", ").join(sql.Literal(n) for n in names)
        shop.execute(sql.SQL("insert into {} values ({}, 1, now())").format(relation, values))
        specs.append(
            replace(
                SPEC, name=name, source_schema=schema, source_table=name, raw_schema=raw,
                raw_table=name, watermark="%wäter'mark\"",
            )
        )  # fmt: skip
    assert [outcome.error for outcome in shop.load(*specs)] == [None] * len(specs)
    for spec in specs:
        relation = sql.Identifier(spec.source_schema, spec.source_table)
        # One row changes, one comes behind the watermark, as the sweep must find it.
        shop.execute(
            sql.SQL("update {} set {} = '%%s', {} = now() + interval '1 s'").format(
                relation, sql.Identifier(names[1] if spec.name != names[1] else names[2]),
                sql.Identifier(str(spec.watermark)),
            )
        )  # fmt: skip
        shop.execute(
            sql.SQL("insert into {} ({}, {}, {}) values ('late %%', 2, '2000-01-01')").format(
                relation, sql.Identifier(spec.name), sql.Identifier("%key%"), sql.Identifier(str(spec.watermark))
            )
        )
    for outcome in shop.load(*specs):
        assert (outcome.error, outcome.rows_inserted, outcome.rows_updated) == (None, 1, 1)
    for spec in specs:
        there = sql.SQL("table {}").format(sql.Identifier(spec.source_schema, spec.source_table))
        here = sql.SQL("select {} from {}").format(
            sql.SQL(", ").join(map(sql.Identifier, [*names, "%key%", str(spec.watermark)])),
            sql.Identifier(spec.raw_schema, spec.raw_table),
        )
        assert set(rows(shop.source, there)) == set(rows(shop.warehouse, here))


@pytest.mark.parametrize("count", [1000, 1597])
def test_a_table_of_very_many_columns(shop: Shop, count: int) -> None:
    columns = ", ".join(f"c{n} smallint" for n in range(2, count))
    shop.execute(f"create table item (id int primary key, {columns}, updated_at timestamptz)")
    shop.execute(
        f"insert into item (id, c2, c{count - 1}, updated_at) select n, n, -n, now() from generate_series(1, 5) as n"
    )
    assert shop.load_one().rows_inserted == 5
    shop.execute("update item set c2 = 77, updated_at = now() where id = 3")
    assert shop.load_one().rows_updated == 1
    shop.execute(f"update item set c{count - 1} = 78 where id = 4")
    assert shop.load_one(full=True).rows_updated == 1
    assert shop.live(f"id, c2, c{count - 1}") == shop.truth(f"id, c2, c{count - 1}")
    bag = full("bag")
    shop.execute("create table bag as table item")
    shop.load_one(bag)
    shop.execute("update bag set c2 = 5 where id = 1")
    assert shop.load_one(bag).rows_moved == 2


def test_too_many_columns_are_refused_by_number(shop: Shop) -> None:
    shop.execute(f"create table item ({', '.join(f'c{n} bool' for n in range(1600))})")
    code, error = refusal(shop, FULL)
    assert code == 2
    assert "it has 1600 columns, but a table holds 1600 and raw needs 3 for itself" in error
    shop.execute("insert into item (c0) values (true)")
    assert shop.load_one(replace(FULL, exclude=("c1", "c2", "c3"))).rows_inserted == 1


def test_a_table_without_rows_and_one_without_columns(shop: Shop) -> None:
    shop.execute("create table item (id int primary key, name text, updated_at timestamptz)")
    for mode in ("first", "full", "full"):
        outcome = shop.load_one()
        assert (outcome.mode, outcome.rows_read) == (mode, 0)
    shop.execute("insert into item values (1, 'a', now())")
    assert shop.load_one().rows_inserted == 1
    shop.execute("create table empty ()")
    code, error = refusal(shop, full("empty"))
    assert (code, "public.empty has no column, so there is nothing to load" in error) == (2, True)


# --- kinds of relations


def test_every_kind_of_relation_can_be_loaded(shop: Shop) -> None:
    shop.execute("create schema other")
    shop.execute("create unlogged table other.unlogged (id int primary key, a text)")
    shop.execute("insert into other.unlogged select n, 'a' || n from generate_series(1, 5) as n")
    shop.execute("create view other.seen as select * from other.unlogged where id < 4")
    shop.execute("create materialized view other.kept as table other.unlogged")
    shop.execute("create table other.parent (id int, a text)")
    shop.execute("create table other.child (more text) inherits (other.parent)")
    shop.execute("insert into other.parent values (1, 'p')")
    shop.execute("insert into other.child values (2, 'c', 'more')")
    shop.execute("create table other.parts (id int, k int, a text, primary key (id, k)) partition by list (k)")
    shop.execute("create table other.parts_1 partition of other.parts for values in (1)")
    shop.execute("create table other.parts_x partition of other.parts default partition by hash (id)")
    shop.execute("create table other.parts_y partition of other.parts_x for values with (modulus 1, remainder 0)")
    shop.execute("insert into other.parts values (1, 1, 'x'), (2, 2, 'y')")
    settings = shop.source_settings
    shop.execute("create extension postgres_fdw")
    shop.execute(
        "create server here foreign data wrapper postgres_fdw options (host %s, port %s, dbname %s)",
        settings.host, str(settings.port), settings.dbname,
    )  # fmt: skip
    shop.execute(
        "create user mapping for current_user server here options (user %s, password %s)",
        settings.user, settings.password,
    )  # fmt: skip
    shop.execute(
        "create foreign table other.far (id int not null, a text) server here "
        "options (schema_name 'other', table_name 'unlogged')"
    )
    wanted = {"unlogged": 5, "seen": 3, "kept": 5, "parent": 2, "parts": 2, "far": 5}
    keyless = {"parent"}
    specs = [
        full(name, source_schema="other", primary_key=() if name in keyless | {"unlogged", "parts"} else ("id",))
        for name in wanted
    ]
    found = {o.table: (o.error, o.rows_inserted) for o in shop.load(*specs)}
    assert found == {f"shop.{name}": (None, count) for name, count in wanted.items()}
    shop.execute("update other.unlogged set a = 'new' where id = 2")
    shop.execute("update other.parent set a = 'new' where id = 2")
    shop.execute("update other.parts set k = 7 where id = 2")
    shop.execute("refresh materialized view other.kept")
    moved = {o.table: o.rows_moved for o in shop.load(*specs)}
    assert moved == {
        "shop.unlogged": 1, "shop.seen": 1, "shop.kept": 1, "shop.parent": 2, "shop.parts": 2,
        "shop.far": 1,
    }  # fmt: skip
    for name in wanted:
        columns = "id, a"
        query = f"select {columns} from {{}}.{name} order by 1"
        there = rows(shop.source, query.format("other"))
        here = query.format("raw").replace("order", "where _deleted_at is null order")
        assert rows(shop.warehouse, here) == there


def test_an_array_can_be_a_key(shop: Shop) -> None:
    shop.execute("create table item (id numeric[] primary key, name text, updated_at timestamptz)")
    shop.execute("insert into item values ('{1.0,2}', 'a', now()), ('{}', 'b', now())")
    shop.load_one()
    shop.execute("insert into item values ('{{3},{null}}', 'late', '2000-01-01')")
    shop.execute("delete from item where id = '{}'")
    outcome = shop.load_one()
    assert (outcome.rows_inserted, outcome.rows_deleted) == (1, 1)
    assert shop.live() == shop.truth()


# --- rows that would be lost in silence, or cannot be moved


@pytest.fixture
def restricted(shop: Shop) -> Iterator[Shop]:
    """A shop whose loader is subject to a policy: it sees one of two rows."""
    role = f"reader_{shop.source_settings.dbname}"
    shop.execute("create table item (id int primary key, name text, updated_at timestamptz)")
    shop.execute("insert into item values (1, 'seen', now()), (2, 'hidden', now())")
    shop.execute("alter table item enable row level security")
    shop.execute("create policy half on item using (id = 1)")
    shop.execute(f"create role {role} login password 'reader'")
    shop.execute(f"grant select on item to {role}")
    shop.source_settings = replace(shop.source_settings, user=role, password="reader")
    yield shop
    shop.execute(f"drop owned by {role}")
    shop.execute(f"drop role {role}")


def test_row_level_security_never_hides_rows_in_silence(restricted: Shop) -> None:
    shop, role = restricted, restricted.source_settings.user
    code, error = refusal(shop, SPEC)
    assert code == 2
    assert "row-level security hides rows of public.item from the role that reads it" in error
    assert "BYPASSRLS" in error
    # A view with the reader's rights cannot be told from its catalog entry; the server refuses it.
    shop.execute("create view lent with (security_invoker) as table item")
    shop.execute("create view owned as table item")
    shop.execute(f"grant select on lent, owned to {role}")
    code, error = refusal(shop, full("lent"))
    assert (code, "row-level security" in error) == (2, True)
    assert shop.load_one(full("owned")).rows_inserted == 2
    shop.execute(f"alter role {role} bypassrls")
    assert shop.load_one().rows_inserted == 2


def encoded(settings: Connection, databases: Databases, encoding: str) -> Connection:
    """Return a new database of that encoding beside `settings`."""
    fresh = databases.create(settings.side)
    statement = f"create database {{}} encoding {encoding} locale_provider libc locale 'C' template template0"
    Databases.execute(settings, "drop database {}", fresh.dbname)
    Databases.execute(settings, statement, fresh.dbname)
    return fresh


@pytest.mark.parametrize(
    ("source", "warehouse"),
    [("latin1", "utf8"), ("utf8", "latin1"), ("latin1", "latin1"), ("sql_ascii", "utf8"), ("win1252", "latin9")],
)
def test_text_is_converted_between_encodings(
    databases: Databases, source_settings: Connection, warehouse_settings: Connection, source: str, warehouse: str
) -> None:
    there = encoded(source_settings, databases, source)
    here = encoded(warehouse_settings, databases, warehouse)
    for shop in open_shop(there, here):
        shop.execute("create type mood as enum ('é')")
        shop.execute("create table item (id int primary key, name text, feel mood, updated_at timestamptz)")
        # In another encoding these bytes would be the text Ã©.
        shop.execute("insert into item values (1, 'é', 'é', now())")
        shop.load_one()
        assert rows(shop.warehouse, "select name, feel from raw.item") == [("é", "é")]
        shop.execute("update item set name = 'ü', updated_at = now()")
        assert shop.load_one().rows_updated == 1
        assert shop.load_one(full=True).rows_moved == 0
        assert rows(shop.warehouse, "select name, feel from raw.item") == [("ü", "é")]


def test_text_that_cannot_be_converted_is_an_error(
    databases: Databases, source_settings: Connection, warehouse_settings: Connection
) -> None:
    for shop in open_shop(encoded(source_settings, databases, "sql_ascii"), warehouse_settings):
        shop.execute("create table item (id int primary key, name text, updated_at timestamptz)")
        rows(shop.source, "set client_encoding = sql_ascii")
        shop.execute("insert into item values (1, e'caf\\351', now())")
        code, error = refusal(shop, SPEC)
        assert code == 1
        assert 'invalid byte sequence for encoding "UTF8": 0xe9' in error
        assert "fix it in the source" in error
    narrow = encoded(warehouse_settings, databases, "latin1")
    for shop in open_shop(source_settings, narrow):
        shop.execute("create table item (id int primary key, name text, updated_at timestamptz)")
        shop.execute("insert into item values (1, '☃', now())")
        code, error = refusal(shop, SPEC)
        assert code == 1
        assert "make the warehouse a database with encoding UTF8" in error


def test_huge_values_arrive_and_huger_rows_are_refused(shop: Shop) -> None:
    shop.execute("create table item (id int primary key, a text, b text)")
    shop.execute("insert into item values (1, repeat('x', 300000000), null)")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    shop.load_one(FULL)
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kb < 64 * 1024
    query = "select length(a), md5(left(a, 1000)) from {}"
    assert rows(shop.warehouse, query.format("raw.item")) == rows(shop.source, query.format("item"))
    # One after the other: PostgreSQL could not even make the whole row at once.
    shop.execute("delete from item")
    shop.execute("insert into item values (2, repeat('x', 600000000), null)")
    shop.execute("update item set b = repeat('x', 600000000) where id = 2")
    code, error = refusal(shop, FULL)
    assert code == 1
    assert "PostgreSQL moves no row of more than 1 GB; leave a column out with `exclude`" in error
