"""`haven run`: packages, load, dbt build with source freshness, reports; one summary; the exit code tells."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from runner import log
from runner.alerts import Delivery
from runner.artifacts import NodeResult, load_manifest
from runner.artifacts.summary import read_summary, this_process, write_summary
from runner.build_claim import claimed_build
from runner.commands.alert import tell_after_run
from runner.commands.build import BAD, BuildOutcome, BuildRequest, build
from runner.commands.load import RETRY_NOW, load_project, load_request, new_run_id
from runner.commands.load_display import exit_code, say_retry, show_outcomes
from runner.commands.reconcile import brief, explain, remarks, say_done
from runner.commands.reconcile import exit_code as reconcile_code
from runner.contract import Contract, raw_schemas, read_contract
from runner.errors import HavenError, LockedError
from runner.load.outcome import LoadRequest, TableOutcome
from runner.manifest import read_manifest
from runner.ops import recorded_run
from runner.packages import ensure_packages
from runner.reconcile.reconciliation import Reconciliation
from runner.reconcile.tables import ReconcileRequest, reconcile_tables
from runner.report import build_reports
from runner.report.masking import mask_text
from runner.report.problems import stale_models
from runner.report.result import ReportResult
from runner.settings import Settings, load_settings


@dataclass
class _Summary:
    run_id: str
    started_at: str
    packages: str = ""
    loads: list[TableOutcome] = field(default_factory=list)
    reconciliations: list[Reconciliation] = field(default_factory=list)
    build: BuildOutcome | None = None
    reports: list[ReportResult] = field(default_factory=list)
    error: str | None = None
    error_code: int = 0
    is_over: bool = False
    # Whether ops.runs has the error, and so alerts tell of it.
    is_recorded: bool = False
    alerts: list[Delivery] = field(default_factory=list)
    # Models that show old rows, by the table that was not loaded.
    stale: dict[str, list[str]] = field(default_factory=dict)

    def note(self, error: BaseException) -> None:
        """Note what ended the run."""
        is_known = isinstance(error, HavenError)
        self.error = str(error) if is_known else f"it was stopped ({error or type(error).__name__})"
        self.error_code = getattr(error, "exit_code", 1)
        self.is_over = True

    def code(self) -> int:
        """Return the run's exit code: the load's if it failed, else the comparison's, else 1 if dbt failed."""
        if self.error is not None:
            return self.error_code
        code = exit_code(self.loads) or reconcile_code(self.reconciliations)
        if code == 0 and self.build and (self.build.returncode != 0 or self.build.problems):
            return 1
        return code

    def as_dict(self) -> dict[str, Any]:
        """Return the summary for JSON and for the validation report."""
        build = self.build
        return {
            "run_id": self.run_id,
            "started_at": self.started_at,
            "finished_at": _now() if self.is_over else None,
            "status": ("failed" if self.code() else "ok") if self.is_over else "running",
            "exit_code": self.code() if self.is_over else None,
            "error": self.error,
            "process": this_process(),
            "packages": self.packages,
            "loads": [outcome.as_dict() for outcome in self.loads],
            "reconciliations": [brief(result) for result in self.reconciliations],
            "models": dict(build.counts(is_test=False)) if build else {},
            "tests": dict(build.counts(is_test=True)) if build else {},
            "freshness": dict(Counter(f.status for f in build.freshness)) if build else {},
            "warned": [r.name for r in build.named("warn")] if build else [],
            "failed": [r.name for r in build.named(*BAD)] if build else [],
            "causes": {r.name: cause(r) for r in build.named(*BAD)} if build else {},
            "problems": list(build.problems) if build else [],
            "stale": self.stale,
            "alerts": [asdict(a) for a in self.alerts],
            "reports": [asdict(r) | {"path": str(r.path or "")} for r in self.reports],
        }


def run(
    select: Annotated[
        list[str] | None, typer.Option("--select", "-s", help="Build only these dbt nodes: `--select a b`.")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", help="Build all but these dbt nodes.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Read whole source tables again.")] = False,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Rebuild incremental models from scratch.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=32, help="Tables at a time.")] = 2,
    retry_now: Annotated[bool, typer.Option("--retry-now", help=RETRY_NOW)] = False,
    no_reconcile: Annotated[bool, typer.Option("--no-reconcile", help="Skip comparing raw with the source.")] = False,
    no_reports: Annotated[bool, typer.Option("--no-reports", help="Skip the reports.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    project_dir: Annotated[Path | None, typer.Option(help="The dbt project to run.")] = None,
) -> None:
    """Load, build and test everything, write the reports, and sum it up."""
    settings = load_settings(project_dir)
    summary = _Summary(run_id=new_run_id(), started_at=_now())
    with _told(settings, summary, with_pages=not no_reports, as_json=as_json):
        request = replace(load_request(settings, workers=workers, retry_now=retry_now), full=full)
        packages = ensure_packages(settings.project_dir, say=log.info)
        summary.packages = packages.reason
        log.info(packages.reason, run_id=summary.run_id)
        _load_and_build(
            settings,
            summary,
            request,
            BuildRequest(tuple(select or ()), tuple(exclude or ()), full_refresh),
            is_reconciled=not no_reconcile,
        )
        summary.alerts = tell_after_run(settings)
        _write(settings, summary)
        if not no_reports:
            log.info("writing reports", run_id=summary.run_id)
            summary.reports = build_reports(settings.project_dir, settings.child_env())
            _write(settings, summary)
    if as_json:
        typer.echo(json.dumps(summary.as_dict(), default=str))
    else:
        _show(settings, summary)
    raise typer.Exit(summary.code())


def _load_and_build(
    settings: Settings, summary: _Summary, request: LoadRequest, build_wishes: BuildRequest, *, is_reconciled: bool
) -> None:
    """Load and compare, then build; others may load the source while this run builds, and nobody waits for reports."""
    source, warehouse = settings.connection("source"), settings.connection("warehouse")
    project = read_manifest(settings)

    def loaded(contract: Contract, snapshot: str) -> None:
        # As of the load's own snapshot: rows that change meanwhile are no differences.
        if is_reconciled:
            log.info("comparing raw with the source", run_id=summary.run_id)
            summary.reconciliations = reconcile_tables(
                contract,
                source,
                warehouse,
                ReconcileRequest(snapshot=snapshot, workers=request.workers),
                run_id=summary.run_id,
                on_done=say_done,
            )

    with recorded_run(
        source,
        warehouse,
        run_id=summary.run_id,
        command="run",
        raw_schemas=raw_schemas(project),
        retries=request.retries,
        on_retry=say_retry,
    ) as record:
        try:
            contract = read_contract(project, settings.project_dir)
            summary.loads = load_project(settings, contract, request, run=record, on_loaded=loaded)
            # Where dbt takes no claim, the source's lock keeps two builds apart.
            with claimed_build(settings, run_id=summary.run_id, command="run", before_wait=record.release) as claim:
                summary.build = build(settings, build_wishes, claim=claim)
            manifest = load_manifest(settings.target_dir)
            bad = [o.table for o in summary.loads if o.error]
            summary.stale = {table: stale_models(manifest, table) for table in bad}
            summary.is_over = True
            record.is_ok = summary.code() == 0
        except BaseException as error:
            summary.note(error)
            summary.is_recorded = True
            raise
        finally:
            record.summary = summary.as_dict() | {"status": "ok" if record.is_ok else "failed"}


@contextmanager
def _told(settings: Settings, summary: _Summary, *, with_pages: bool, as_json: bool) -> Iterator[None]:
    """Have run_summary.json and the pages say that it runs, and how it ended, whatever it was that ended it.

    A run that is refused leaves the files of the one that is under way alone.
    """
    other = read_summary(settings.target_dir)
    is_free = other is None or other.get("status") != "running"
    if is_free:
        _write(settings, summary)
    try:
        yield
    except BaseException as error:
        summary.note(error)
        if isinstance(error, LockedError) and not is_free:
            raise
        with suppress(OSError):  # a full disk must not hide the error
            _write(settings, summary)
        if isinstance(error, HavenError) and not isinstance(error, LockedError):
            if summary.is_recorded:
                summary.alerts = tell_after_run(settings)
            elif other is None or other.get("error") != summary.error:
                summary.alerts = tell_after_run(settings, str(error))
            if with_pages:
                # What there is of settings: it may be these that are wrong.
                env = {**os.environ, **settings.values}
                build_reports(settings.project_dir, env, ["validation"])
            if as_json:
                typer.echo(json.dumps(summary.as_dict(), default=str))
        raise


def cause(result: NodeResult) -> str:
    """Return all that dbt says of a node that failed, without personal values, and where a test keeps its rows."""
    text = mask_text((result.message or "no message").strip())
    if result.kept_in and result.failures:
        text += f"; they are in {result.kept_in}"
    if result.node and result.node.description:
        text += f" ({' '.join(result.node.description.split())})"
    return text


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _write(settings: Settings, summary: _Summary) -> None:
    write_summary(settings.target_dir, summary.as_dict())


def _show(settings: Settings, summary: _Summary) -> None:
    typer.echo("")
    show_outcomes(summary.loads, run_id=summary.run_id, as_json=False)
    for table, models in summary.stale.items():
        typer.echo(f"  stale    without {table}: {', '.join(models) or 'no model'}")
    typer.echo("")
    if summary.reconciliations:
        statuses: Counter[str] = Counter(r.status for r in summary.reconciliations)
        typer.echo(f"reconcile  {_words(statuses)}")
        for reconciliation in summary.reconciliations:
            for line in remarks(reconciliation):
                typer.echo(f"  note     {line}")
            for line in explain(reconciliation):
                typer.echo(f"  FAILED   {line.removeprefix('error: ')}")
    build_outcome = summary.build
    if build_outcome is not None:
        typer.echo(f"models     {_words(build_outcome.counts(is_test=False))}")
        typer.echo(f"tests      {_words(build_outcome.counts(is_test=True))}")
        typer.echo(f"freshness  {_words(Counter(f.status for f in build_outcome.freshness))}")
        for source in build_outcome.freshness:
            if source.status in BAD:
                _say_failed(f"freshness of {source.name}", source.message or "")
        for problem in build_outcome.problems:
            typer.echo(f"  FAILED   {problem}")
        for result in build_outcome.named("warn"):
            typer.echo(f"  warn     {result.name}: {result.failures or 0:,} rows")
        for result in build_outcome.named(*BAD):
            _say_failed(result.name, cause(result))
    for report in summary.reports:
        where = _relative(report.path, settings) if report.path else report.detail
        typer.echo(f"report     {report.name:<11} {where}")
    code = summary.code()
    typer.echo(f"run {summary.run_id}: {'ok' if code == 0 else f'failed (exit {code})'}")


def _say_failed(name: str, message: str) -> None:
    """Print a failure in full; the lines of its message keep their places below each other."""
    first, *rest = message.splitlines() or [""]
    typer.echo("\n             ".join([f"  FAILED   {name}: {first}", *rest]))


def _words(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {status}" for status, number in counts.most_common()) or "none"


def _relative(path: Path, settings: Settings) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
