"""One trial: the source changes, a load is killed, the state is checked, the next load must put all right."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2

from crash import check, victim
from crash.servers import PATIENCE_S, Servers
from crash.shop import LATE, RAW, TABLES, Shop
from runner.errors import HavenError
from runner.settings import Side

MODES: dict[str, dict[str, Any]] = {
    "incremental": {},
    "first": {},
    "full": {"full": True},
    "backfill": {"since": "2000-01-01"},
}
HARMS = ("terminate", "kill_backend", "crash")


@dataclass(frozen=True)
class Kill:
    """What happens to the load: `how` is "point", "moment", or one of HARMS on `side`.

    `die_at` numbers the point, of those whose name begins with `die_in`; `after_s` is the time from the load's begin
    to a harm or a SIGKILL from outside.
    """

    how: str
    side: Side | None = None
    die_at: int = 0
    die_in: str = ""
    after_s: float = 0.0

    @property
    def label(self) -> str:
        """Return the kind of kill for the summary."""
        names = {
            "point": "loader SIGKILL at a numbered point",
            "moment": "loader SIGKILL at a random moment",
            "terminate": f"{self.side} sessions terminated",
            "kill_backend": f"{self.side} backend SIGKILL",
            "crash": f"{self.side} server crash and restart",
        }
        return names[self.how]


@dataclass
class Result:
    """What a trial found. `exit_code` and `points` are those of the load that was (to be) killed."""

    mode: str
    kill: Kill
    point: str = ""
    exit_code: int | None = None
    points: list[str] = field(default_factory=list)
    load_s: float = 0.0
    seconds: float = 0.0
    lost: int = 0
    doubled: int = 0
    torn: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Return whether nothing at all was wrong."""
        return not (self.lost or self.doubled or self.torn or self.leftovers)

    def __str__(self) -> str:
        """Return one line for the log."""
        end = {0: "ended well", -9: "killed"}.get(self.exit_code or 0, f"exit {self.exit_code}")
        state = "right" if self.is_right else f"WRONG: lost {self.lost}, doubled {self.doubled}"
        faults = "".join(f"; {fault}" for fault in self.torn + self.leftovers)
        return f"{self.mode}, {self.kill.label}: {self.point} -> {end}; {state}{faults} ({self.seconds:.1f} s)"


@dataclass
class Bench:
    """The servers, the shop in them, and what all trials share."""

    servers: Servers
    shop: Shop
    rng: random.Random
    runs: int = 0

    @staticmethod
    def up(home: Path, rng: random.Random) -> Bench:
        """Start servers in the empty folder `home` and fill the source."""
        servers = Servers.up(home)
        bench = Bench(servers, Shop(servers.source), rng)
        bench.shop.create()
        return bench

    def orders(self, **more: Any) -> victim.Orders:
        """Return the orders of a new run."""
        self.runs += 1
        return victim.Orders(self.servers.source, self.servers.warehouse, f"crash-{self.runs}", **more)

    def value(self, side: Side, query: str) -> Any:
        """Return the one value of `query`."""
        with closing(self.servers.open(side)) as session, session.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchone()[0]  # type: ignore[index]

    def forget(self) -> None:
        """Empty the warehouse."""
        with closing(self.servers.open("warehouse")) as session, session, session.cursor() as cursor:
            cursor.execute(f"set client_min_messages = error; drop schema if exists {RAW}, ops cascade")


def run(
    bench: Bench,
    mode: str,
    kill: Kill,
    *,
    tables: tuple[str, ...] = tuple(TABLES),
    workers: int = 2,
    is_busy: bool = True,
    with_gone: bool = False,
    is_broken: bool = False,
) -> Result:
    """Make one trial; `is_busy` has the source change while the load runs."""
    result = Result(mode, kill)
    shop, servers = bench.shop, bench.servers
    started = time.monotonic()
    if mode == "first":
        bench.forget()
    with closing(shop.open()) as session:
        for _ in range(2):
            shop.change(session)
            shop.commit(session)
    with closing(servers.open("warehouse")) as session:
        before = check.look(session)
    shop.versions = shop.versions[-1:]  # what was before can not be what this load reads
    orders = bench.orders(
        tables=tables,
        request=MODES[mode] | {"workers": workers},
        with_gone=with_gone,
        die_at=kill.die_at,
        die_in=kill.die_in,
        is_broken=is_broken,
    )
    _harm(bench, orders, kill, result, is_busy=is_busy)
    idle_s = [servers.wait_until_idle(side) for side in ("source", "warehouse")]
    if kill.side == "source":
        shop.look_again()
    left = _judge(bench, before, result, tables)
    _load_again(bench, left, result)
    result.seconds = time.monotonic() - started
    if max(idle_s) > PATIENCE_S / 2:
        result.leftovers.append(f"sessions for {max(idle_s):.0f} s")
    return result


def _harm(bench: Bench, orders: victim.Orders, kill: Kill, result: Result, *, is_busy: bool) -> None:
    """Run the load of `orders`, do it harm, and wait for its end."""
    stop = threading.Event()
    writers = [threading.Thread(target=_write, args=(bench.shop, stop, late)) for late in (True, False)]
    process = subprocess.Popen(
        [sys.executable, "-m", "crash.victim"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert process.stdin and process.stdout
    if is_busy:
        for writer in writers:
            writer.start()
    process.stdin.write(orders.to_json())
    process.stdin.close()
    process.stdin = None
    assert process.stdout.readline() == "go\n"
    begun = time.monotonic()
    if kill.how == "moment":
        timer = threading.Timer(kill.after_s, process.kill)
        timer.start()
    elif kill.how != "point":
        time.sleep(kill.after_s)
        result.point = getattr(bench.servers, kill.how)(kill.side, bench.rng)
    try:
        out, errors = process.communicate(timeout=PATIENCE_S * 2)
    except subprocess.TimeoutExpired:
        process.kill()
        out, errors = process.communicate()
        result.torn.append("the load hung")
    finally:
        stop.set()
        if is_busy:
            for writer in writers:
                writer.join()
    result.load_s = time.monotonic() - begun
    result.exit_code = process.returncode
    result.points = out.splitlines()
    if result.exit_code == -9 and result.points:
        result.point = result.points[-1]
    lines = errors.splitlines()
    if retries := sum(line.startswith(victim.RETRY) for line in lines):
        result.point += f" ({retries} retries)"
    if result.exit_code not in (0, -9) and lines:
        result.point += f" ({lines[-1]})"


def _write(shop: Shop, stop: threading.Event, is_late: bool) -> None:
    """Commit changes until `stop`; if `is_late`, one transaction that stays open for the most of the load."""
    with suppress(psycopg2.Error, HavenError), closing(shop.open()) as session:
        if is_late:
            shop.change(session, LATE)
            stop.wait(0.3)
            shop.commit(session)
            return
        while not stop.wait(0.05):
            shop.change(session)
            shop.commit(session)


def _judge(
    bench: Bench, before: dict[str, check.TableState], result: Result, tables: tuple[str, ...]
) -> dict[str, check.TableState]:
    """Check what the killed load left, before anything else runs, and return it."""
    with closing(bench.servers.open("source")) as source, closing(bench.servers.open("warehouse")) as warehouse:
        is_ok = result.exit_code == 0
        left = check.look(warehouse)
        result.torn += check.torn(
            before,
            left,
            bench.shop.versions,
            # A run that failed after a lost snapshot may have begun to load everything again.
            is_one_snapshot=is_ok or result.exit_code == -9,
            must_be_new=tables if is_ok else (),
        )
        result.leftovers += check.leftovers(source, warehouse, is_done=False)
    return left


def _load_again(bench: Bench, before: dict[str, check.TableState], result: Result) -> None:
    """Load to the end, and compare everything with the source, which rests now."""
    try:
        code = victim.load(bench.orders())
    except HavenError as error:
        code = error.exit_code
        result.torn.append(f"the next load failed: {error}")
    if code:
        result.torn.append(f"the next load ended with exit code {code}")
    for side in ("source", "warehouse"):
        bench.servers.wait_until_idle(side)
    with closing(bench.servers.open("source")) as source, closing(bench.servers.open("warehouse")) as warehouse:
        result.lost, result.doubled = check.lost_and_doubled(source, warehouse)
        result.torn += check.torn(
            before, check.look(warehouse), bench.shop.versions[-1:], is_one_snapshot=True, must_be_new=tuple(TABLES)
        )
        result.torn += check.ahead(source, warehouse)
        result.leftovers += check.leftovers(source, warehouse, is_done=True)
