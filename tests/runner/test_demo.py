"""The demo marketplace: the same rows for a seed, faults in the numbers it reports, and no others."""

from __future__ import annotations

import csv
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from psycopg2.extensions import connection as PgConnection

from runner import demo

SCALE = 0.02
KEYS = {
    "customers": "customer_id",
    "vendors": "vendor_id",
    "categories": "category_id",
    "products": "product_id",
    "bids": "bid_id",
    "orders": "order_id",
    "order_items": "order_item_id",
    "payments": "payment_id",
    "reviews": "review_id",
    "listing_views": "view_id",
}
WITH_HISTORY = ("customers", "vendors", "products")

STATES_FILE = Path(__file__).parents[2] / "seeds" / "reference" / "us_states.csv"
EMAIL = "^[a-z0-9._%%+-]+@[a-z0-9-]+([.][a-z0-9-]+)*[.][a-z]{2,}$"

TOTALS = """
with totals as (
    select
        orders.*,
        orders.shipping_amount - orders.discount_amount + (
            select sum(order_items.quantity * order_items.unit_price)
            from order_items
            where order_items.order_id = orders.order_id
        ) as amount,
        count(*) filter (where payments.payment_status = 'captured') as captured,
        count(*) filter (where payments.payment_status = 'refunded') as refunded,
        count(*) filter (where payments.payment_status = 'failed') as failed,
        count(payments.payment_id) as attempts
    from orders
    left join payments on orders.order_id = payments.order_id
    group by orders.order_id
)
"""
MONEY_IS_IN = "order_status in ('paid', 'shipped', 'delivered')"

# Each finds the rows of one kind of fault, without a look at where the demo put them.
FAULTS = {
    "untrimmed_state_codes": "select customer_id from customers where state_code <> trim(state_code)",
    "lowercase_state_codes": "select customer_id from customers where state_code ~ '[a-z]'",
    "broken_emails": f"select customer_id from customers where lower(trim(email)) !~ '{EMAIL}'",
    "duplicate_customers": """
        select lower(trim(email)) from customers group by lower(trim(email)) having count(*) = 2""",
    "negative_prices": "select product_id from products where price <= 0",
    "bids_at_or_above_price": """
        select bid_id from bids inner join products using (product_id) where bid_amount >= price""",
    "orders_without_payment": f"select * from ({TOTALS} select order_id from totals where"
    f" {MONEY_IS_IN} and attempts = 0)",
    "payments_without_order": """
        select payment_id from payments
        where not exists (select 1 from orders where orders.order_id = payments.order_id)""",
    "payments_amount_mismatch": f"""
        {TOTALS} select payments.payment_id from payments inner join totals using (order_id)
        where payments.amount <> totals.amount and payments.payment_status <> 'failed'""",
    "late_payments": """
        select payment_id from payments where created_at > paid_at + interval '2 days'""",
}

# Each finds rows that must not be there.
NEVER = {
    "unknown state": """
        select state_code from customers where not upper(trim(state_code)) = any(%(states)s)
        union all
        select state_code from vendors where not state_code = any(%(states)s)""",
    "address of three customers": """
        select lower(trim(email)) from customers group by lower(trim(email)) having count(*) > 2""",
    "broken address of a vendor": f"select * from vendors where contact_email !~ '{EMAIL}'",
    "order before its customer": """
        select order_id from orders inner join customers using (customer_id)
        where ordered_at < customers.created_at""",
    "item before its product, or in another currency": """
        select order_item_id
        from order_items
        inner join orders using (order_id)
        inner join products using (product_id)
        where ordered_at < products.listed_at or orders.currency_code <> products.currency_code""",
    "item not at the price of its time": """
        select order_item_id
        from order_items
        inner join orders using (order_id)
        inner join products using (product_id)
        where unit_price <> coalesce(
            (
                select old_price from haven_demo.price_changes
                where price_changes.product_id = products.product_id and changed_at > ordered_at
                order by changed_at limit 1
            ), price
        )""",
    "order without items": """
        select order_id from orders
        where not exists (select 1 from order_items where order_items.order_id = orders.order_id)""",
    "order whose payments contradict its status": f"""
        {TOTALS} select order_id from totals
        where
            {MONEY_IS_IN} and attempts > 0 and (captured <> 1 or attempts <> captured + failed)
            or order_status = 'refunded' and (refunded <> 1 or attempts <> refunded + failed)
            or order_status = 'pending' and (attempts > 1 or attempts <> failed)
            or order_status = 'cancelled' and attempts > 0
            or amount <= 0""",
    "payment of another customer or currency, or before its order": """
        select payment_id from payments inner join orders using (order_id)
        where
            payments.customer_id <> orders.customer_id
            or payments.currency_code <> orders.currency_code
            or paid_at < ordered_at""",
    "payment after a day that is not late": """
        select payment_id from payments
        where created_at between paid_at + interval '1 day' and paid_at + interval '2 days'""",
    "bid of nothing, before its product or bidder, or in another currency": """
        select bid_id
        from bids
        inner join products using (product_id)
        inner join customers using (customer_id)
        where
            bid_amount <= 0 or bid_at < listed_at or bid_at < customers.created_at
            or bids.currency_code <> products.currency_code""",
    "review without a purchase": """
        select review_id from reviews
        where not exists (
            select 1 from order_items
            where
                order_items.product_id = reviews.product_id
                and order_items.created_at < reviews.reviewed_at
        ) and not exists (select 1 from haven_demo.state where tick_number > 0)""",
    "view before its product or visitor": """
        select view_id
        from listing_views
        inner join products using (product_id)
        left join customers on listing_views.customer_id = customers.customer_id
        where viewed_at < listed_at or viewed_at < customers.created_at or duration_seconds < 1""",
    "use of a product that is a draft or has no price": """
        select product_id from products
        where (listing_status = 'draft' or price <= 0) and product_id in (
            select product_id from bids
            union all select product_id from order_items
            union all select product_id from reviews
            union all select product_id from listing_views
        )""",
    "session of two visitors": """
        select session_id from listing_views
        group by session_id having count(distinct coalesce(customer_id, -1)) > 1""",
    "category at a third level": """
        select children.category_id from categories as children
        inner join categories as parents on children.parent_category_id = parents.category_id
        where parents.parent_category_id is not null""",
    "event written before it happened": """
        select 'order', order_id from orders where created_at < ordered_at
        union all select 'payment', payment_id from payments where created_at < paid_at
        union all select 'bid', bid_id from bids where created_at < bid_at
        union all select 'review', review_id from reviews where created_at < reviewed_at
        union all select 'view', view_id from listing_views where created_at < viewed_at
        union all select 'product', product_id from products where created_at < listed_at""",
} | {
    f"clock of {table}": f"""
        select {key} from {table} cross join haven_demo.state
        where
            created_at < '2024-06-01' or created_at > {changed_at}
            or {changed_at} >= (today + 1)::timestamp at time zone 'UTC'"""
    for table, key in KEYS.items()
    for changed_at in ("created_at" if table == "listing_views" else "updated_at",)
}


def query(session: PgConnection, statement: str) -> list[tuple[Any, ...]]:
    """Run one statement, commit, and return its rows (empty for a statement without any)."""
    with STATES_FILE.open(encoding="utf-8") as lines:
        states = [row["state_code"] for row in csv.DictReader(lines)]
    with session, session.cursor() as cursor:
        cursor.execute("set local timezone = 'UTC'")
        cursor.execute(statement, {"states": states})
        return cursor.fetchall() if cursor.description else []


def content(session: PgConnection) -> dict[str, dict[int, str]]:
    """Return every table's rows as text, by key."""
    return {table: dict(query(session, f"select {key}, {table}::text from {table}")) for table, key in KEYS.items()}


def check(session: PgConnection, planted: dict[str, int]) -> None:
    """Check that each fault is there as often as reported, and nothing else is wrong."""
    assert {kind: len(query(session, find)) for kind, find in FAULTS.items()} == planted
    assert {name: found for name, find in NEVER.items() if (found := query(session, find))} == {}


def test_the_same_seed_gives_the_same_rows_and_another_does_not(source_connection: PgConnection) -> None:
    def fill(seed: int) -> dict[str, dict[int, str]]:
        demo.init(source_connection, scale=SCALE, seed=seed, reset=True)
        demo.tick(source_connection)
        demo.tick(source_connection)
        return content(source_connection)

    first = fill(7)
    assert fill(7) == first
    other = fill(8)
    assert [table for table in KEYS if other[table] == first[table]] == ["categories"]


def test_planted_faults_are_all_there_and_no_others(source_connection: PgConnection) -> None:
    result = demo.init(source_connection, scale=SCALE, seed=1)
    assert result["created"] is True
    assert result["day"] == "2026-06-30"
    assert result["rows"] == {table: len(found) for table, found in content(source_connection).items()}
    assert min(result["planted"].values()) >= 3
    check(source_connection, result["planted"])


def test_sizes_follow_the_scale(source_connection: PgConnection) -> None:
    result = demo.init(source_connection, scale=0.1, seed=1)
    at_scale_1 = {
        "customers": 5_000,
        "vendors": 300,
        "products": 8_000,
        "bids": 60_000,
        "orders": 50_000,
        "order_items": 120_000,
        "payments": 50_000,
        "reviews": 15_000,
        "listing_views": 500_000,
    }
    assert result["rows"].pop("categories") == 40
    assert result["rows"] == {table: pytest.approx(size / 10, rel=0.08) for table, size in at_scale_1.items()}
    assert result["planted"]["bids_at_or_above_price"] == 12
    check(source_connection, result["planted"])


def test_keys_and_indexes_are_those_of_the_schema(source_connection: PgConnection) -> None:
    demo.init(source_connection, scale=SCALE, seed=1)
    schema = re.sub("--.*", "", resources.files(demo).joinpath("schema.sql").read_text("utf-8"))
    [(keys, invalid)] = query(
        source_connection,
        "select count(*), count(*) filter (where not convalidated) from pg_constraint where contype = 'f'",
    )
    assert (keys, invalid) == (schema.count(" references "), 0)
    [(indexes,)] = query(
        source_connection,
        "select count(*) from pg_index inner join pg_class on pg_index.indrelid = pg_class.oid"
        " where pg_class.relnamespace = 'public'::regnamespace and not indisprimary",
    )
    assert indexes == schema.count("create index on ")


def test_a_tick_reports_exactly_what_it_did(source_connection: PgConnection) -> None:
    demo.init(source_connection, scale=SCALE, seed=3)
    deleted_before: dict[int, str] = {}
    for turn, day in enumerate(("2026-07-01", "2026-07-02", "2026-07-03"), start=1):
        before = content(source_connection)
        result = demo.tick(source_connection)
        after = content(source_connection)
        assert (result["tick"], result["day"]) == (turn, day)

        real: dict[str, dict[str, int]] = {
            "inserted": {t: len(after[t].keys() - before[t].keys()) for t in KEYS},
            "updated": {t: sum(before[t][k] != after[t][k] for k in before[t].keys() & after[t].keys()) for t in KEYS},
            "deleted": {t: len(before[t].keys() - after[t].keys()) for t in KEYS},
        }
        for action, per_table in real.items():
            told = result[action]
            assert {t: told.get(t, 0) for t in KEYS} == per_table
            assert told.keys() <= KEYS.keys()
        assert result["scd2"] == {t: real["updated"][t] for t in WITH_HISTORY}
        # Something of every kind happens, at a small scale too.
        assert min(result["updated"].values()) > 0
        assert min(result["deleted"].values()) > 0
        undeleted = result["late"].pop("undeleted_reviews")
        assert min(result["late"].values()) > 0

        # A deleted row that comes back is what it was; no other id is used again.
        returned = after["reviews"].keys() & deleted_before.keys()
        assert len(returned) == undeleted == min(turn - 1, 1)
        assert all(after["reviews"][key] == deleted_before.pop(key) for key in returned)
        deleted_before |= {key: row for key, row in before["reviews"].items() if key not in after["reviews"]}
        for table in KEYS:
            new = after[table].keys() - before[table].keys() - returned
            assert table in ("order_items", "reviews") or min(new, default=10**15) > max(before[table])
        check(source_connection, result["planted"])


def test_late_rows_lie_behind_the_watermark(source_connection: PgConnection) -> None:
    demo.init(source_connection, scale=SCALE, seed=3)
    before = {
        table: query(source_connection, f"select max({KEYS[table]}) from {table}")[0][0]
        for table in ("orders", "payments", "order_items")
    }
    [(watermark,)] = query(source_connection, "select max(updated_at) from orders")
    late = demo.tick(source_connection)["late"]
    for table, newest in before.items():
        [(backdated,)] = query(
            source_connection,
            f"select count(*) from {table} where {KEYS[table]} > {newest} and updated_at = least("
            f"updated_at, '{watermark}'::timestamptz - interval '1 day') and created_at <= updated_at",
        )
        assert backdated == late[f"backdated_{table}"]
    [(reported_late,)] = query(
        source_connection,
        f"select count(*) from payments where payment_id > {before['payments']}"
        " and updated_at = created_at and created_at >= '2026-07-01'"
        " and paid_at < created_at - interval '2 days'",
    )
    assert reported_late == late["payments"]
    [(late_items,)] = query(
        source_connection,
        "select count(*) from order_items inner join orders using (order_id) where"
        " order_items.created_at >= '2026-07-01' and ordered_at < '2026-06-24'"
        " and orders.updated_at < '2026-07-01'",
    )
    assert late_items == late["order_items"]


def test_init_again_changes_nothing_and_reports_the_same(source_connection: PgConnection) -> None:
    demo.init(source_connection, scale=SCALE, seed=1)
    ticked = demo.tick(source_connection)
    before = content(source_connection)
    again = demo.init(source_connection, scale=SCALE, seed=1)
    assert content(source_connection) == before
    assert again["created"] is False
    assert (again["tick"], again["day"], again["planted"]) == (1, "2026-07-01", ticked["planted"])
    assert json.loads(json.dumps(again)) == again


@pytest.mark.parametrize(("scale", "seed"), [(SCALE, 2), (0.03, 1)])
def test_another_seed_or_scale_needs_reset(source_connection: PgConnection, scale: float, seed: int) -> None:
    demo.init(source_connection, scale=SCALE, seed=1)
    with pytest.raises(demo.DemoError, match="pass --reset"):
        demo.init(source_connection, scale=scale, seed=seed)
    fresh = demo.init(source_connection, scale=scale, seed=seed, reset=True)
    assert (fresh["created"], fresh["scale"], fresh["seed"]) == (True, scale, seed)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(
    "statement",
    [
        "create table orders (order_id bigint)",
        "create view somebody_else as select 1 as one",
        "create type order_status as enum ('open')",
        "create schema shop; create table shop.items (id int)",
    ],
)
def test_a_database_of_somebody_else_is_left_alone(
    source_connection: PgConnection, statement: str, reset: bool
) -> None:
    query(source_connection, statement)
    with pytest.raises(demo.DemoError, match="not empty and not the demo's"):
        demo.init(source_connection, scale=SCALE, seed=1, reset=reset)
    assert query(source_connection, "select to_regclass('haven_demo.state')") == [(None,)]


def test_reset_drops_only_its_own(source_connection: PgConnection) -> None:
    demo.init(source_connection, scale=SCALE, seed=1)
    query(source_connection, "create view my_report as select count(*) from orders")
    with pytest.raises(demo.DemoError, match="view my_report depends on table orders"):
        demo.init(source_connection, scale=SCALE, seed=2, reset=True)
    assert query(source_connection, "select * from my_report") == [(1000,)]
    assert query(source_connection, "select seed from haven_demo.state") == [(1,)]


def test_a_tick_needs_a_demo(source_connection: PgConnection) -> None:
    with pytest.raises(demo.DemoError, match="haven demo init"):
        demo.tick(source_connection)


@pytest.mark.parametrize(("scale", "seed"), [(0, 1), (-1, 1), (float("nan"), 1), (1, 2**63)])
def test_impossible_numbers_are_refused(source_connection: PgConnection, scale: float, seed: int) -> None:
    with pytest.raises(demo.DemoError, match="must be a"):
        demo.init(source_connection, scale=scale, seed=seed)
