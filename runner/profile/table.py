"""Profiles one table: its columns, its keys and its growth. References need all tables, and come after."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from psycopg2.extensions import cursor as PgCursor

from runner.contract import TableSpec
from runner.errors import DataError
from runner.profile.basics import Basics, Guides, read_basics
from runner.profile.catalog import SourceColumn, read_source_table
from runner.profile.growth import creation_column, read_growth
from runner.profile.keys import count_duplicates, find_keys
from runner.profile.personal import masked, personal_by_name, personal_by_values
from runner.profile.references import Profiled
from runner.profile.result import Basis, ColumnProfile, Growth, Key
from runner.profile.scan import Scan, choose_scan, whole
from runner.profile.values import Values, read_values
from runner.report.masking import PiiRules


@dataclass(frozen=True)
class Described:
    """What the YAML says of a table: its description, and of columns by name description and `meta.pii`."""

    description: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    pii: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class TableFacts:
    """A profiled table before its references are known."""

    profiled: Profiled
    duplicate_rows: int | None
    growth: Growth | None


def profile_table(
    cursor: PgCursor, spec: TableSpec, described: Described, rules: PiiRules, sample_rows: int
) -> TableFacts:
    """Return the facts of one table; only columns that the contract loads are looked at.

    Raises:
        DataError: the source has no such table.
        psycopg2.Error: it cannot be read.
    """
    table = read_source_table(cursor, spec.source_schema, spec.source_table)
    if table is None:
        raise DataError(
            f"the source has no table {spec.source_schema}.{spec.source_table}: "
            f"was it dropped or renamed? Mend or remove it in {spec.file}"
        )
    columns = tuple(
        c
        for c in table.columns
        if (not spec.columns or c.name in spec.columns) and c.name not in spec.exclude
    )
    scan = choose_scan(cursor, table, columns, sample_rows)
    single = {key[0] for key in table.keys if len(key) == 1}
    counters = [c for c in columns if c.name in single and c.is_whole_number]
    watermark = next((c for c in columns if c.name == spec.watermark and c.kind == "time"), None)
    basics = read_basics(
        cursor, scan, columns, Guides(counters[0] if counters else None, watermark)
    )
    # The spread of a number that only names something says nothing.
    naming = single | {name for reference in table.references for name in reference.columns}
    found = tuple(
        _column(cursor, scan, c, basics[c.name], described, rules, has_spread=c.name not in naming)
        for c in columns
    )
    keys = find_keys(cursor, table, scan, found)
    made = creation_column(columns, basics, scan.profiled_rows, watermark)
    return TableFacts(
        profiled=Profiled(spec.label, table, scan, found, keys),
        duplicate_rows=count_duplicates(cursor, scan, columns, keys),
        growth=read_growth(cursor, scan, made, watermark) if made else None,
    )


def neighbour(cursor: PgCursor, spec: TableSpec, rules: PiiRules) -> Profiled | None:
    """Return what the catalog alone says of a table that is not profiled: its declared keys of one column.

    Enough to find references to it by name. None if the source has no such table.
    """
    table = read_source_table(cursor, spec.source_schema, spec.source_table)
    if table is None:
        return None
    keys = tuple(Key(key, is_declared=True) for key in table.keys if len(key) == 1)
    columns = tuple(
        ColumnProfile(
            name=name,
            type=column.type,
            kind=column.kind,
            description="",
            is_nullable=False,
            personal=personal_by_name(column, rules, None),
            nulls=0,
            distinct=None,
            distinct_basis=None,
        )
        for (name,) in (key.columns for key in keys)
        for column in (table.column(name),)
    )
    return Profiled(spec.label, table, Scan(whole(table), 0, 0), columns, keys)


def _column(
    cursor: PgCursor,
    scan: Scan,
    column: SourceColumn,
    basics: Basics,
    described: Described,
    rules: PiiRules,
    *,
    has_spread: bool,
) -> ColumnProfile:
    declared = described.pii.get(column.name)
    personal = personal_by_name(column, rules, declared)
    values = read_values(
        cursor, scan, column, basics, shows_values=personal is None, has_spread=has_spread
    )
    if personal is None and declared is None:
        personal = personal_by_values(values, rules, column)
    distinct, basis = _distinct(scan, column, values)
    profile = ColumnProfile(
        name=column.name,
        type=column.type,
        kind=column.kind,
        description=described.columns.get(column.name, ""),
        is_nullable=column.is_nullable,
        personal=personal,
        nulls=scan.profiled_rows - basics.values,
        distinct=distinct,
        distinct_basis=basis,
        min=basics.min,
        max=basics.max,
        avg=basics.avg,
        stddev=basics.stddev,
        not_finite=basics.not_finite,
        negative=basics.negative,
        text=values.text,
        spread=values.spread,
        top=values.top,
        histogram=values.histogram,
    )
    profile = replace(profile, notes=_notes(profile, basics, values, scan))
    return masked(profile, personal) if personal else profile


def _distinct(scan: Scan, column: SourceColumn, values: Values) -> tuple[int, Basis]:
    """Return the number of different values and its basis; the planner's for a sample, where it has one.

    n_distinct below 0 is a share of the rows (PostgreSQL, pg_stats).
    """
    if not scan.is_sampled:
        return values.distinct, "exact"
    if column.n_distinct:
        known = column.n_distinct
        return round(known if known > 0 else -known * scan.rows), "statistics"
    return values.distinct, "sample"


def _notes(column: ColumnProfile, basics: Basics, values: Values, scan: Scan) -> tuple[str, ...]:
    """Return patterns worth a word; none of them holds a value."""
    where = " in the sample" if scan.is_sampled else ""
    notes = []
    if scan.profiled_rows and not basics.values:
        notes.append(f"all null{where}")
    elif basics.values > 1 and values.distinct == 1:
        notes.append(f"constant{where}" + (" but for nulls" if column.nulls else ""))
    elif basics.values > 1 and values.distinct == basics.values:
        notes.append(f"unique{where}")
    if column.text and column.text.blank:
        notes.append(f"{column.text.blank:,} blank")
    if column.text and column.text.untrimmed:
        notes.append(f"{column.text.untrimmed:,} untrimmed")
    if column.text and column.text.is_mixed_case:
        notes.append("mixed case: values differ by case only")
    if column.not_finite:
        notes.append(f"{column.not_finite:,} not finite")
    if column.negative:
        notes.append(f"{column.negative:,} negative")
    if column.spread and column.spread.outliers:
        notes.append(f"{column.spread.outliers:,} outliers")
    if basics.is_out_of_range:
        notes.append("too large for a mean")
    return tuple(notes)
