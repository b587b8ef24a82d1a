"""What `haven alert` tells whom and when, against a small model of Alertmanager, and how it is delivered.

The models run in a real warehouse, whose results and loads are written as dbt and the loader write them. Messages go to
a real SMTP server and a real web server on this machine.
"""

from __future__ import annotations

import email
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from aiosmtpd.controller import Controller
from conftest import Databases, Project, copy_project, rows
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from psycopg2.extensions import connection as PgConnection

from runner.connect import connect
from runner.embedded.server import free_port
from runner.ops import prepare

FORGET = "truncate ops.node_results, ops.table_loads, ops.runs, ops.alert_deliveries, ops.alert_silences"
START = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
LOAD, SOURCE, MODEL = "load.raw.orders", "source.haven.clutter_haven.orders", "model.haven.fct_orders"
# Node, dbt's severity, and whether it depends on the load.
CHECKS = {
    "test.haven.orders_have_items": ("error", True),
    "test.haven.late_orders": ("warn", True),
    "test.haven.states_are_known": ("warn", False),
}
# Receiver: what it is told, after how many hours again, whether of the end, its quiet hours in UTC.
ROUTES = {
    "team": (("warning", "critical"), 24, True, None),
    "on_call": (("critical",), 4, True, None),
    "night": (("warning", "critical"), None, False, (22, 6)),
}


@pytest.fixture(scope="module")
def told(module_databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A warehouse with the models of alerts, and with nothing that could be wrong."""
    folder = copy_project(tmp_path_factory.mktemp("alerts") / "haven")
    project = Project(folder, module_databases.create("source"), module_databases.create("warehouse"))
    project.haven("deps", "--offline")
    with closing(connect(project.warehouse)) as session:
        prepare(session)
    project.dbt(
        "build", "--quiet", "--exclude-resource-type", "unit_test", "--select", "alert_routes", "models/quality/alerts"
    )
    return project


@pytest.fixture
def warehouse(told: Project) -> Iterator[PgConnection]:
    """A session of that warehouse, in which nothing has happened yet."""
    with closing(connect(told.warehouse)) as session:
        rows(session, FORGET)
        yield session


def insert(session: PgConnection, table: str, **values: object) -> None:
    """Insert one row."""
    names, places = ", ".join(values), ", ".join(["%s"] * len(values))
    rows(session, f"insert into {table} ({names}) values ({places})", *values.values())


def note_result(
    session: PgConnection, node: str, severity: str, status: str, at: datetime, failures: int = 0, message: str = ""
) -> None:
    """Write what dbt's end hook writes for one node, and for all others that they are still there."""
    name = node.split(".")[2]
    insert(
        session, "ops.node_results", run_id=f"run {at:%d %H:%M}", invocation_id=f"{at}", node_id=node, node_name=name,
        rule=name, kind="data test" if node.startswith("test") else "model", severity=severity, status=status,
        failures=failures, message=message, model_name="fct_orders", path="a.sql", tags="[]", recorded_at=at,
    )  # fmt: skip
    rows(session, "delete from ops.node_results where status = 'not_run'")
    for other in (*CHECKS, MODEL):
        insert(session, "ops.node_results", node_id=other, kind="data test", status="not_run", recorded_at=at)


def note_load(session: PgConnection, status: str, at: datetime) -> None:
    """Write what the loader writes for one table."""
    ((load_id,),) = rows(session, "select nextval('ops.load_id_seq')")
    insert(
        session, "ops.table_loads", load_id=load_id, run_id="run", source_name="clutter_haven", table_name="orders",
        raw_schema="raw", raw_table="orders", strategy="full", mode="full", status=status, started_at=at,
        finished_at=at, error="the key is doubled" if status == "failed" else None,
    )  # fmt: skip


@dataclass
class Trouble:
    """The model's view of one problem."""

    is_open: bool = False
    since: datetime = START
    severity: str = "warning"


@dataclass
class Telling:
    """What the model last told one receiver of one problem."""

    state: str
    severity: str
    at: datetime


class Alerts(RuleBasedStateMachine):
    """Events and calls of `haven alert` in any order, with a clock that goes on: the view says what the model says."""

    session: ClassVar[PgConnection]

    @initialize()
    def begin(self) -> None:
        rows(self.session, FORGET)
        self.now = START
        self.troubles: dict[str, Trouble] = {}
        self.tellings: dict[tuple[str, str], Telling] = {}
        self.silent_until: dict[str, datetime] = {}

    @rule(minutes=st.sampled_from([1, 30, 240, 600, 1440]))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(node=st.sampled_from(sorted(CHECKS)), is_bad=st.booleans())
    def a_check_runs(self, node: str, is_bad: bool) -> None:
        severity, _ = CHECKS[node]
        self.now += timedelta(seconds=1)
        bad = "fail" if severity == "error" else "warn"
        note_result(self.session, node, severity, bad if is_bad else "pass", self.now, failures=is_bad * 3)
        self._happened(node, is_bad, "critical" if severity == "error" else "warning")

    @rule(node=st.sampled_from(sorted(CHECKS)))
    def a_check_is_skipped(self, node: str) -> None:
        self.now += timedelta(seconds=1)
        note_result(self.session, node, CHECKS[node][0], "skipped", self.now)

    @rule(is_bad=st.booleans())
    def the_table_is_loaded(self, is_bad: bool) -> None:
        self.now += timedelta(seconds=1)
        note_load(self.session, "failed" if is_bad else "ok", self.now)
        self._happened(LOAD, is_bad, "critical")

    @rule(is_bad=st.booleans())
    def the_model_is_built(self, is_bad: bool) -> None:
        self.now += timedelta(seconds=1)
        note_result(self.session, MODEL, "", "error" if is_bad else "success", self.now)
        self._happened(MODEL, is_bad, "critical")

    @rule(problem=st.sampled_from([*sorted(CHECKS), LOAD]), hours=st.sampled_from([1, 30]))
    def somebody_silences(self, problem: str, hours: int) -> None:
        ends_at = self.now + timedelta(hours=hours)
        insert(self.session, "ops.alert_silences", pattern=problem, reason="known", made_at=self.now, ends_at=ends_at)
        self.silent_until[problem] = max(ends_at, self.silent_until.get(problem, START))

    @rule(receiver=st.sampled_from(sorted(ROUTES)), arrives=st.booleans())
    def it_is_told(self, receiver: str, arrives: bool) -> None:
        """A message that does not arrive changes nothing: the next call tells it again."""
        self.now += timedelta(seconds=1)
        for (name, problem), state in self.expected().items():
            if name == receiver:
                severity = self.troubles[problem].severity
                insert(
                    self.session, "ops.alert_deliveries", digest_id="one", receiver=receiver, problem_id=problem,
                    state=state, severity=severity, status="sent" if arrives else "failed", delivered_at=self.now,
                )  # fmt: skip
                if arrives:
                    self.tellings[receiver, problem] = Telling(state, severity, self.now)

    @invariant()
    def the_view_says_what_the_model_says(self) -> None:
        rows(self.session, "set haven.now = %s", self.now.isoformat())
        found = rows(self.session, "select receiver, problem_id, state from quality.alerts where held_back_by is null")
        assert {(receiver, problem): state for receiver, problem, state in found} == self.expected()
        open_now = {problem for problem, trouble in self.troubles.items() if trouble.is_open}
        assert {p for (p,) in rows(self.session, "select problem_id from quality.open_problems")} == open_now

    def _happened(self, problem: str, is_bad: bool, severity: str) -> None:
        trouble = self.troubles.get(problem)
        if is_bad:
            since = trouble.since if trouble and trouble.is_open else self.now
            self.troubles[problem] = Trouble(is_open=True, since=since, severity=severity)
        elif trouble:
            trouble.is_open = False

    def expected(self) -> dict[tuple[str, str], str]:
        """Return the state of each problem that a receiver has to be told of now."""
        return {
            (receiver, problem): state
            for receiver in ROUTES
            for problem, trouble in self.troubles.items()
            if (state := self._state(receiver, problem, trouble))
        }

    def _state(self, receiver: str, problem: str, trouble: Trouble) -> str | None:
        severities, reminder_hours, tells_resolved, quiet = ROUTES[receiver]
        if trouble.severity not in severities or self.silent_until.get(problem, START) > self.now:
            return None
        if quiet and trouble.severity != "critical" and (self.now.hour >= quiet[0] or self.now.hour < quiet[1]):
            return None
        last = self.tellings.get((receiver, problem))
        was_told = last is not None and last.state != "resolved"
        if not trouble.is_open:
            return "resolved" if was_told and tells_resolved else None
        if self._is_inhibited(problem):
            return None
        if last is None or not was_told or last.at < trouble.since:
            return "firing"
        is_due = reminder_hours is not None and self.now >= last.at + timedelta(hours=reminder_hours)
        return "reminder" if is_due else None

    def _is_inhibited(self, problem: str) -> bool:
        causes = {LOAD: (), MODEL: (LOAD,)}.get(problem, (LOAD, MODEL) if CHECKS.get(problem, ("", False))[1] else ())
        return any(self.troubles.get(cause, Trouble()).is_open for cause in causes)


def test_alerts_are_told_as_alertmanager_would(told: Project, warehouse: PgConnection) -> None:
    rows(warehouse, "truncate reference.alert_routes")
    for receiver, (severities, hours, tells_resolved, quiet) in ROUTES.items():
        quiet_from, quiet_until = (f"{hour:02}:00" if quiet else None for hour in quiet or (0, 0))
        insert(
            warehouse, "reference.alert_routes", receiver=receiver, minimum_severity=severities[0],
            reminder_hours=hours, tells_resolved=tells_resolved, time_zone="UTC", quiet_from=quiet_from,
            quiet_until=quiet_until,
        )  # fmt: skip
    rows(warehouse, "truncate quality.node_lineage")
    edges = [(SOURCE, LOAD), ("model.haven.stg_orders", SOURCE), (MODEL, "model.haven.stg_orders")]
    edges += [(node, MODEL) for node, (_, depends) in CHECKS.items() if depends]
    for edge in edges:
        rows(warehouse, "insert into quality.node_lineage values (%s, %s)", *edge)
    Alerts.session = warehouse
    run_state_machine_as_test(
        Alerts,
        settings=settings(
            max_examples=25, stateful_step_count=25, deadline=None, derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
    told.dbt("build", "--quiet", "--full-refresh", "--select", "alert_routes", "node_lineage")


@dataclass
class Channels:
    """A web server and a mail server, what they got, and how the web server answers."""

    web_port: int
    mail: Controller
    posts: list[dict[str, Any]] = field(default_factory=list)
    mails: list[str] = field(default_factory=list)
    answer: int = 200
    takes_s: float = 0.0

    @property
    def env(self) -> dict[str, str]:
        """Return both as addresses of receivers."""
        return {
            "HAVEN_ALERT_TEAM": f"json://bot:s3cretWord@127.0.0.1:{self.web_port}/services/T0/Sup3rSecret",
            "HAVEN_ALERT_ON_CALL": f"mailto://127.0.0.1:{self.mail.port}/?from=haven@example.org&to=ops@example.org&mode=insecure",
        }


@pytest.fixture
def channels() -> Iterator[Channels]:
    """Both servers, on this machine only."""

    class Posts(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            time.sleep(made.takes_s)
            if made.answer == 200:
                made.posts.append(body)
            self.send_response(made.answer)
            self.send_header("Retry-After", "30")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Mails:
        async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:
            text = email.message_from_bytes(envelope.content)
            part = next(p for p in text.walk() if p.get_content_type() == "text/plain")
            made.mails.append(f"{text['Subject']}\n{part.get_payload(decode=True).decode()}")
            return "250 OK"

    web = ThreadingHTTPServer(("127.0.0.1", 0), Posts)
    web.daemon_threads = True
    threading.Thread(target=web.serve_forever, daemon=True).start()
    mail = Controller(Mails(), hostname="127.0.0.1", port=free_port())
    mail.start()
    made = Channels(web.server_address[1], mail)
    yield made
    mail.stop(no_assert=True)
    web.shutdown()


def test_one_digest_per_receiver_until_it_arrives(told: Project, warehouse: PgConnection, channels: Channels) -> None:
    """10,000 failing rows, a personal value, a server that refuses: one message, told again, nothing shown."""
    at = datetime.now(UTC) - timedelta(hours=1)
    for number in range(3):
        note_result(warehouse, f"test.haven.rows_{number}", "error", "fail", at, failures=10_000)
    note_result(
        warehouse, "test.haven.broken", "error", "error", at, message="no <b>column</b>; ann@example.com wrote it"
    )
    channels.answer = 429
    first = told.haven("alert", "--json", expect=1, **channels.env).json
    by_receiver = {one["receiver"]: one for one in first["deliveries"]}
    assert by_receiver["on_call"]["error"] is None
    assert "429" in by_receiver["team"]["error"]
    assert "ecret" not in json.dumps(first)
    assert channels.posts == []
    (mail,) = channels.mails
    assert mail.startswith("Haven: 4 critical\n")
    assert mail.count("10,000 rows") == 3
    assert "ann@" not in mail
    assert "no \u2039b\u203acolumn" in mail
    assert "What to do" in mail

    channels.answer = 200
    again = told.haven("alert", "--json", **channels.env).json
    assert [one["receiver"] for one in again["deliveries"]] == ["team"]
    (post,) = channels.posts
    assert (post["title"], post["type"]) == ("Haven: 4 critical", "failure")
    assert "ann@" not in json.dumps(post)
    assert told.haven("alert", **channels.env).out == "alert      nothing to tell\n"
    kept = "select receiver, status, count(*) from ops.alert_deliveries group by 1, 2 order by 1, 2"
    assert rows(warehouse, kept) == [("on_call", "sent", 4), ("team", "failed", 4), ("team", "sent", 4)]

    note_result(warehouse, "test.haven.rows_0", "error", "pass", datetime.now(UTC))
    told.haven("alert", **channels.env)
    # The others have no row of the newest run: they are gone from the project.
    assert channels.posts[-1]["title"] == "Haven: 4 resolved"
    assert channels.posts[-1]["type"] == "success"


def test_a_server_that_does_not_answer_costs_ten_seconds(
    told: Project, warehouse: PgConnection, channels: Channels
) -> None:
    note_result(warehouse, "test.haven.late_orders", "error", "fail", datetime.now(UTC), failures=1)
    channels.takes_s = 60
    started = time.monotonic()
    done = told.haven("alert", "--json", expect=1, **channels.env).json
    assert time.monotonic() - started < 10 + 8  # Python's start, on a busy machine
    assert {one["receiver"]: bool(one["error"]) for one in done["deliveries"]} == {"team": True, "on_call": False}


def test_a_mail_server_that_is_gone_is_told_again(told: Project, warehouse: PgConnection, channels: Channels) -> None:
    note_result(warehouse, "test.haven.late_orders", "error", "fail", datetime.now(UTC), failures=1)
    nowhere = "mailto://127.0.0.1:1/?from=haven@example.org&to=ops@example.org&mode=insecure"
    done = told.haven("alert", "--json", expect=1, **channels.env | {"HAVEN_ALERT_ON_CALL": nowhere}).json
    assert {one["receiver"]: bool(one["error"]) for one in done["deliveries"]} == {"team": False, "on_call": True}
    assert rows(warehouse, "select distinct receiver from quality.alerts where held_back_by is null") == [("on_call",)]


def test_test_messages_and_silences(told: Project, warehouse: PgConnection, channels: Channels) -> None:
    told.haven("alert", "--test", **channels.env)
    assert [post["title"] for post in channels.posts] == ["Haven: a test"]
    assert len(channels.mails) == 1
    note_result(warehouse, "test.haven.late_orders", "error", "fail", datetime.now(UTC), failures=1)
    told.haven("alert", "--silence", "fct_.*", "--hours", "2", "--reason", "known", **channels.env)
    assert told.haven("alert", **channels.env).out == "alert      nothing to tell\n"
    ((why,),) = rows(warehouse, "select distinct held_back_by from quality.alerts")
    assert why.startswith("silenced until ")


def test_a_developer_tells_nobody(told: Project, warehouse: PgConnection, channels: Channels) -> None:
    note_result(warehouse, "test.haven.late_orders", "error", "fail", datetime.now(UTC), failures=1)
    told.haven("alert", **channels.env, HAVEN_TARGET="dev", HAVEN_SCHEMA="ann")
    assert (channels.posts, channels.mails) == ([], [])


@pytest.mark.parametrize(
    ("env", "args", "said"),
    [
        ({}, (), "no receiver has an address"),
        ({"HAVEN_ALERT_TEAM": "nonsense"}, (), "HAVEN_ALERT_TEAM must be one address that apprise knows"),
        ({}, ("--silence", "((("), "is no regular expression"),
    ],
)
def test_bad_input_ends_in_one_line(told: Project, env: dict[str, str], args: tuple[str, ...], said: str) -> None:
    done = told.haven("alert", *args, expect=2, **env)
    assert said in done.err
    assert done.err.count("\n") == 1


def test_a_run_tells_what_ended_it(told: Project, channels: Channels, tmp_path: Any) -> None:
    """Of a warehouse that is gone no model can tell; the next run that ends so says nothing new."""
    nowhere = {"HAVEN_WAREHOUSE_PORT": "1", "HAVEN_RETRIES": "0"}
    for _ in range(2):
        told.haven("run", "--no-reports", expect=3, **nowhere, **channels.env)
    (post,) = channels.posts
    assert post["type"] == "failure"
    assert "cannot connect to warehouse" in post["message"]
    assert len(channels.mails) == 1


@pytest.mark.parametrize(("exit_code", "is_problem"), [(1, True), (75, False)])
def test_a_run_that_was_refused_is_no_problem(warehouse: PgConnection, exit_code: int, is_problem: bool) -> None:
    """Another one was at work, which is what there is to tell."""
    insert(
        warehouse, "ops.runs", run_id="run", source="shop", raw_schemas="{raw}", command="run", status="failed",
        started_at=START, finished_at=START, summary=json.dumps({"error": "is locked", "exit_code": exit_code}),
    )  # fmt: skip
    assert rows(warehouse, "select problem_id, is_open from quality.problems") == (
        [("run.shop", True)] if is_problem else []
    )
