"""What survives a load: values, keys, deleted rows, late commits; found by running each loader, not by claim."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import psycopg2

from benchmarks import peers, table
from benchmarks.cluster import ROOT, Bench
from benchmarks.measure import CommandFailed, Pipe
from benchmarks.measure import run as run_pipe
from benchmarks.peers import Job
from benchmarks.results import Row
from benchmarks.trials import clean, say
from runner.connect import connect

# What is loaded, its type, its values as SQL.
KINDS = {
    "array with a null": ("integer[]", "array[1, null, 3]"),
    "array of two dimensions": ("integer[]", "array[[1, 2], [3, 4]]"),
    "numeric NaN": ("numeric", "'NaN'"),
    "double precision NaN and Infinity": ("double precision", "'NaN', 'Infinity', '-Infinity'"),
    "timestamptz infinity": ("timestamptz", "'infinity', '-infinity'"),
    "numeric(38,20)": ("numeric(38,20)", "123456789012345678.12345678901234567890"),
    "numeric, 20 decimals": ("numeric", "0.12345678901234567890"),
    "interval": ("interval", "'1 year 2 mons 3 days 04:05:06.789'"),
    "date before Christ": ("date", "'0044-03-15 BC'"),
    "enum": ("mood", "'happy', 'sad'"),
    "inet": ("inet", "'192.168.0.1/24'"),
    "int4range": ("int4range", "'[1,10)'"),
    "bit varying": ("bit varying", "B'10110'"),
    "time": ("time", "'23:59:59.999999'"),
    "smallint": ("smallint", "1, -32768"),
    "uuid": ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"),
    "bytea": ("bytea", r"'\x00ff10'"),
    "jsonb with long numbers": ("jsonb", """'{"n": 12345678901234567890.123456789}'"""),
}
HAPPENINGS = "happenings"
INSERT = f"insert into {HAPPENINGS} values (%s, 'x', now())"
QUESTIONS = (
    "NOT NULL of a column that is not the key kept",
    "primary key kept by an incremental load",
    "row that committed late, behind the watermark, found",
    "deleted row removed (Haven: marked)",
)
FAILED = "the load fails"


@dataclass(frozen=True)
class Tool:
    """One loader: `pipe(table, mode)` runs it, `relation(table)` is the copy, as far as its rows are live."""

    name: str
    pipe: Callable[[str, str], Pipe]
    relation: Callable[[str], str]
    live: str = "true"

    def load(self, table_name: str, mode: str) -> None:
        """Load one table, replacing or merging. Raises CommandFailed."""
        run_pipe(self.pipe(table_name, mode), cwd=ROOT)


def run(bench: Bench, rows: int, runs: int) -> list[Row]:
    """Load small tables with every tool; `rows` and `runs` mean nothing here."""
    del rows, runs
    clean(bench)
    bench.execute(bench.source, "drop type if exists mood cascade", "create type mood as enum ('happy', 'sad')")
    _make_happenings(bench)
    for number, (kind, values) in enumerate(KINDS.values()):
        each = "values (%s)" if kind.endswith("[]") else f"select value::{kind} from unnest(array[%s]) as value"
        bench.execute(
            bench.source,
            f"drop table if exists kind_{number}",
            f"create table kind_{number} (id bigint generated always as identity primary key, v {kind})",
            f"insert into kind_{number} (v) {each % values}",
        )
    found = []
    for tool in (_haven(bench), *(_peer(bench, one) for one in peers.installed() if one.can_merge)):
        say(f"  {tool.name}")
        answers = {
            what: _value(bench, tool, f"kind_{number}", kind) for number, (what, (kind, _)) in enumerate(KINDS.items())
        }
        answers |= _happenings(bench, tool)
        found += [Row("values", 1, what, tool.name, note=text) for what, text in answers.items()]
    clean(bench)
    return found


def _haven(bench: Bench) -> Tool:
    names = [f"kind_{number}" for number in range(len(KINDS))]
    whole = bench.project("values", names, "sweep", "raw_values", strategy="full")
    changing = bench.project("happenings", [HAPPENINGS], "sweep", "raw_happenings")
    return Tool(
        "Haven",
        lambda name, mode: bench.haven(changing if mode == "merge" else whole, name),
        lambda name: f"raw_{'happenings' if name == HAPPENINGS else 'values'}.{name}",
        "_deleted_at is null",
    )


def _peer(bench: Bench, peer: peers.Peer) -> Tool:
    def job(name: str, mode: str = "replace") -> Job:
        return Job(source=f"public.{name}", target=f"{name}_{peer.name}", mode=mode)

    return Tool(
        f"{peer.label} {peer.version()}",
        lambda name, mode: peer.pipe(bench, job(name, mode)),
        lambda name: peer.relation(job(name)),
    )


def _value(bench: Bench, tool: Tool, name: str, kind: str) -> str:
    """Return what became of the values of one kind."""
    values = "select id, v::text, pg_typeof(v)::text from {} where {} order by id"
    try:
        tool.load(name, "replace")
        copied = bench.execute(bench.warehouse, values.format(tool.relation(name), tool.live))
    except (CommandFailed, psycopg2.Error) as error:
        say(f"    {name}: {str(error)[-160:]}")
        return FAILED
    original = bench.execute(bench.source, values.format(name, "true"))
    if len(copied) != len(original):
        return f"{len(original) - len(copied)} of {len(original)} rows missing"
    for (_, before, _), (_, after, _) in zip(original, copied, strict=True):
        if after != before and not _equal(bench, kind, before, after):
            return f"**{before}** became **{'NULL' if after is None else after}**"
    return "exact" if copied[0][2] == original[0][2] else f"the value, as {copied[0][2]}"


def _equal(bench: Bench, kind: str, before: str, after: str | None) -> bool:
    """Return whether two renderings are one value of the source's type."""
    with closing(connect(bench.source)) as session, session.cursor() as cursor:
        question = f"select %s::text::{kind}::text = %s::text::{kind}::text"
        try:
            cursor.execute(question, (before, after))
        except psycopg2.Error:
            return False
        return cursor.fetchone() == (True,)


def _make_happenings(bench: Bench) -> None:
    bench.execute(
        bench.source,
        f"drop table if exists {HAPPENINGS}",
        f"create table {HAPPENINGS} (id bigint primary key, name text not null, "
        f"{table.WATERMARK} timestamptz not null)",
        *(INSERT % number for number in range(1, 6)),
    )


def _happenings(bench: Bench, tool: Tool) -> dict[str, str]:
    """Load a table that lives: what it declares, a commit that comes late, a row that goes."""
    _make_happenings(bench)
    relation = tool.relation(HAPPENINGS)
    declared = f"select attnotnull from pg_attribute where attrelid = '{relation}'::regclass and attname = 'name'"
    live = f"select id from {relation} where {tool.live}"
    try:
        tool.load(HAPPENINGS, "merge")
        is_declared = bench.execute(bench.warehouse, declared)[0][0]
        has_key = bench.has_key(relation)
        with closing(connect(bench.source)) as late, late, late.cursor() as cursor:
            cursor.execute(INSERT, (100,))
            bench.execute(bench.source, INSERT % 101)
            tool.load(HAPPENINGS, "merge")
        tool.load(HAPPENINGS, "merge")
        found_late = (100,) in bench.execute(bench.warehouse, live)
        bench.execute(bench.source, f"delete from {HAPPENINGS} where id = 1", INSERT % 102)
        tool.load(HAPPENINGS, "merge")
        is_gone = (1,) not in bench.execute(bench.warehouse, live)
    except (CommandFailed, psycopg2.Error) as error:
        say(f"    {HAPPENINGS}: {str(error)[-160:]}")
        return dict.fromkeys(QUESTIONS, FAILED)
    answers = (is_declared, has_key, found_late, is_gone)
    return {q: "yes" if yes else "**no**" for q, yes in zip(QUESTIONS, answers, strict=True)}
