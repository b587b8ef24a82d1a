"""Small shops whose rows change and are loaded at random. Each has keys of its own, so that many share one warehouse.

A shop keeps its source in memory and loads it as the runner does: rows that differ get a new _load_id, rows that are
gone a tombstone, in one transaction for each table. Unlike the runner it can leave that transaction open.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from psycopg2 import sql
from psycopg2.extensions import cursor as PgCursor

Row = dict[str, Any]
FIRST_ID = 10_000_000
IDS_PER_SHOP = 100
# Both sides of midnight and of a month's end, and an hour in between.
MOMENTS = (
    "2026-01-31 23:59:59+00", "2026-02-01 00:00:00+00", "2026-02-01 12:00:00+00",
    "2026-02-28 23:00:00+00", "2026-03-05 06:00:00+00",
)  # fmt: skip
# How many rows of each table a shop may have; its row number k has the id first + k.
COUNTS = {
    "customers": 2, "vendors": 2, "categories": 1, "products": 2, "bids": 2, "orders": 2,
    "order_items": 2, "payments": 2, "listing_views": 2,
}  # fmt: skip
KEYS = {
    "customers": "customer_id", "vendors": "vendor_id", "categories": "category_id",
    "products": "product_id", "bids": "bid_id", "orders": "order_id",
    "order_items": "order_item_id", "payments": "payment_id", "listing_views": "view_id",
}  # fmt: skip
TABLES = tuple(COUNTS)


@dataclass(frozen=True)
class Step:
    """One thing that happens to a shop.

    Row `number` of a table is put or deleted, the table is loaded, a load is held open or released, or the numbers of
    the table in raw get more digits. `variant` is what the row's values, or a load's clock, are drawn from.
    """

    action: str
    table: str
    number: int
    variant: int


ACTIONS = (*("put",) * 10, *("delete",) * 2, *("load",) * 4, *("hold",) * 2, *("release",) * 2, "widen")


# Twice as likely: what has a dimension changes under facts that stay as they are.
DRAWN = (*TABLES, "customers", "vendors", "products")


def random_step(rng: random.Random) -> Step:
    """Return any step; all rows of a table are equally likely."""
    return Step(rng.choice(ACTIONS), rng.choice(DRAWN), rng.randrange(4), rng.randrange(10_000))


def _values(table: str, first: int, rng: random.Random) -> Row:
    """Return random values of a row: few of each kind, so that they meet, and references to rows that may not be."""
    moment, changed = rng.choice(MOMENTS), rng.choice(MOMENTS)

    def one_of(other: str) -> int:
        return first + rng.randrange(COUNTS[other])

    money = rng.choice((5, 10, 25))
    currency = rng.choice(("USD", "USD", "EUR"))
    written = {"created_at": min(moment, changed), "updated_at": changed}
    makers: dict[str, Callable[[], Row]] = {
        "customers": lambda: {
            "email": rng.choice(("a@one.example", "b@two.example", "none")),
            "full_name": "A Name",
            "phone": rng.choice(("1", "2")),
            "city": rng.choice(("Ada", "Bend")),
            "state_code": "OR",
            "postal_code": "97000",
            "country_code": "US",
            "is_marketing_opt_in": rng.random() < 0.5,
            "preferences": "{}",
        },
        "vendors": lambda: {
            "vendor_name": rng.choice(("Acme", "Best")),
            "contact_email": "v@one.example",
            "state_code": "OR",
            "commission_rate": rng.choice((0.05, 0.1)),
            "specialties": "{}",
            "is_active": True,
        },
        "categories": lambda: {"parent_category_id": None, "category_name": rng.choice(("Art", "Books"))},
        "products": lambda: {
            "vendor_id": one_of("vendors"),
            "category_id": one_of("categories"),
            "title": rng.choice(("Thing", "Better thing")),
            "price": money,
            "currency_code": currency,
            "condition": "good",
            "listing_status": rng.choice(("active", "sold")),
            "tags": "{}",
            "attributes": "{}",
            "listed_at": MOMENTS[0],
        },
        "bids": lambda: {
            "product_id": one_of("products"),
            "customer_id": one_of("customers"),
            "bid_amount": money - 1,
            "currency_code": currency,
            "bid_status": rng.choice(("active", "won")),
            "bid_at": moment,
        },
        "orders": lambda: {
            "customer_id": one_of("customers"),
            "order_status": rng.choice(("pending", "paid", "cancelled", "refunded")),
            "currency_code": currency,
            "shipping_amount": 1,
            "discount_amount": rng.choice((0, 2)),
            "shipping_address": "{}",
            "ordered_at": moment,
        },
        "order_items": lambda: {
            "order_id": one_of("orders"),
            "product_id": one_of("products"),
            "quantity": rng.choice((1, 3)),
            "unit_price": money,
        },
        "payments": lambda: {
            "order_id": one_of("orders"),
            "customer_id": one_of("customers"),
            "payment_method": "card",
            "payment_status": rng.choice(("captured", "failed", "refunded")),
            "amount": money,
            "currency_code": currency,
            "paid_at": moment,
        },
        "listing_views": lambda: {
            "product_id": one_of("products"),
            "customer_id": rng.choice((None, one_of("customers"))),
            "session_id": "00000000-0000-0000-0000-000000000000",
            "device": "phone",
            "duration_seconds": 1,
            "viewed_at": moment,
        },
    }
    row = makers[table]() | written
    if table == "listing_views":
        del row["updated_at"]
    return row


@dataclass
class Shop:
    """One shop: its source's rows and what raw has of them, by table and key."""

    number: int
    source: dict[str, dict[int, Row]] = field(default_factory=lambda: {t: {} for t in TABLES})
    raw: dict[str, dict[int, Row]] = field(default_factory=lambda: {t: {} for t in TABLES})
    changed_last: str = TABLES[0]

    @property
    def first_id(self) -> int:
        """Return the shop's lowest id."""
        return FIRST_ID + self.number * IDS_PER_SHOP

    def change(self, step: Step) -> None:
        """Put a row into the source (new or in place of the old one) or delete it."""
        self.changed_last = step.table
        key = self.first_id + step.number % COUNTS[step.table]
        if step.action == "put":
            rng = random.Random(step.variant)  # noqa: S311
            row = _values(step.table, self.first_id, rng)
            if step.table == "listing_views":  # the feature tables declare that a view never moves
                first = _values(step.table, self.first_id, random.Random(key))  # noqa: S311
                row |= {name: first[name] for name in ("product_id", "customer_id")}
            self.source[step.table][key] = row
        else:
            self.source[step.table].pop(key, None)

    def load(self, cursor: PgCursor, table: str, load_id: int, hours: int) -> None:
        """Bring raw up to date with one table of the source, in the caller's transaction.

        The clock that the load looks at goes `hours` wrong.
        """
        now, then = self.source[table], self.raw[table]
        for key, row in now.items():
            if row != then.get(key):
                _put(cursor, table, {KEYS[table]: key} | row, load_id, hours)
        for key in then.keys() - now.keys():
            cursor.execute(
                sql.SQL(
                    "update raw.{} set _deleted_at = {now}, _loaded_at = {now}, _load_id = %s where {} = %s"
                ).format(sql.Identifier(table), sql.Identifier(KEYS[table]), now=_clock(hours)),
                (load_id, key),
            )
        self.raw[table] = dict(now)


def _clock(hours: int) -> sql.Composable:
    return sql.SQL("now() + make_interval(hours => {})").format(sql.Literal(hours))


def _put(cursor: PgCursor, table: str, row: Row, load_id: int, hours: int) -> None:
    columns = [sql.Identifier(name) for name in row]
    cursor.execute(
        sql.SQL(
            "insert into raw.{table} ({columns}, _loaded_at, _load_id) values ({values}, {now}, %s) "
            "on conflict ({key}) do update set {changes}, _loaded_at = excluded._loaded_at, "
            "_load_id = excluded._load_id, _deleted_at = null"
        ).format(
            table=sql.Identifier(table),
            columns=sql.SQL(", ").join(columns),
            values=sql.SQL(", ").join([sql.Placeholder()] * len(row)),
            now=_clock(hours),
            key=sql.Identifier(KEYS[table]),
            changes=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(c) for c in columns),
        ),
        (*row.values(), load_id),
    )
