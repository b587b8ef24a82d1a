"""`haven run`: packages, load, dbt build with source freshness, reports; one summary; the exit code tells."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from runner import log
from runner.artifacts import NodeResult, load_manifest
from runner.commands.build import BAD, BuildOutcome, build
from runner.commands.load import RETRY_NOW, load_project, load_request, new_run_id
from runner.commands.load_display import exit_code, say_retry, show_outcomes
from runner.commands.reconcile import brief, explain, remarks, say_done
from runner.commands.reconcile import exit_code as reconcile_code
from runner.contract import Contract, raw_schemas, read_contract
from runner.errors import HavenError, LockedError
from runner.load.outcome import TableOutcome
from runner.load.state import recorded_run
from runner.manifest import read_manifest
from runner.packages import ensure_packages
from runner.reconcile.engine import Wishes, reconcile_tables
from runner.reconcile.outcome import Reconciliation
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
    # Models that show old rows, by the table that was not loaded.
    stale: dict[str, list[str]] = field(default_factory=dict)

    def code(self) -> int:
        """Return the run's exit code: the load's if it failed, else the comparison's, else 1 if dbt failed."""
        if self.error is not None:
            return self.error_code
        code = exit_code(self.loads) or reconcile_code(self.reconciliations)
        if code == 0 and self.build is not None and self.build.returncode != 0:
            return 1
        return code

    def as_dict(self) -> dict[str, Any]:
        """Return the summary for JSON and for the validation report."""
        build = self.build
        return {
            "run_id": self.run_id,
            "started_at": self.started_at,
            "finished_at": _now(),
            "status": ("failed" if self.code() else "ok") if self.is_over else "running",
            "error": self.error,
            "packages": self.packages,
            "loads": [outcome.as_dict() for outcome in self.loads],
            "reconciliations": [brief(result) for result in self.reconciliations],
            "models": dict(build.counts(is_test=False)) if build else {},
            "tests": dict(build.counts(is_test=True)) if build else {},
            "freshness": dict(Counter(f.status for f in build.freshness)) if build else {},
            "warned": [r.name for r in build.named("warn")] if build else [],
            "failed": [r.name for r in build.named(*BAD)] if build else [],
            "causes": {r.name: cause(r) for r in build.named(*BAD)} if build else {},
            "stale": self.stale,
            "reports": [asdict(r) | {"path": str(r.path or "")} for r in self.reports],
        }


def run(
    select: Annotated[
        list[str] | None,
        typer.Option("--select", "-s", help="Build only these dbt nodes: `--select a b`."),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", help="Build all but these dbt nodes.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Read whole source tables again.")] = False,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Rebuild incremental models from scratch.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=32, help="Tables at a time.")] = 2,
    retry_now: Annotated[bool, typer.Option("--retry-now", help=RETRY_NOW)] = False,
    no_reconcile: Annotated[
        bool, typer.Option("--no-reconcile", help="Skip comparing raw with the source.")
    ] = False,
    no_reports: Annotated[bool, typer.Option("--no-reports", help="Skip the reports.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    project_dir: Annotated[Path | None, typer.Option(help="The dbt project to run.")] = None,
) -> None:
    """Load, build and test everything, write the reports, and sum it up."""
    settings = load_settings(project_dir)
    summary = _Summary(run_id=new_run_id(), started_at=_now())
    with _told(settings, summary, with_pages=not no_reports, as_json=as_json):
        source, warehouse = settings.connection("source"), settings.connection("warehouse")
        packages = ensure_packages(settings.project_dir, say=log.info)
        summary.packages = packages.reason
        log.info(packages.reason, run_id=summary.run_id)
        request = load_request(settings, workers=workers, retry_now=retry_now)
        project = read_manifest(settings)
        with recorded_run(
            source,
            warehouse,
            run_id=summary.run_id,
            command="run",
            raw_schemas=raw_schemas(project),
            retries=request.retries,
            on_retry=say_retry,
        ) as record:
            _write(settings, summary)

            def loaded(contract: Contract, snapshot: str) -> None:
                # As of the load's own snapshot: rows that change meanwhile are no differences.
                if not no_reconcile:
                    log.info("comparing raw with the source", run_id=summary.run_id)
                    summary.reconciliations = reconcile_tables(
                        contract,
                        source,
                        warehouse,
                        Wishes(snapshot=snapshot, workers=workers),
                        run_id=summary.run_id,
                        on_done=say_done,
                    )

            wishes = replace(request, full=full)
            contract = read_contract(project, settings.project_dir)
            summary.loads = load_project(settings, contract, wishes, run=record, on_loaded=loaded)
            summary.build = build(
                settings,
                select or [],
                exclude or [],
                run_id=summary.run_id,
                full_refresh=full_refresh,
            )
            manifest = load_manifest(settings.target_dir)
            bad = [o.table for o in summary.loads if o.error]
            summary.stale = {table: stale_models(manifest, table) for table in bad}
            summary.is_over = True
            _write(settings, summary)
            if not no_reports:
                log.info("writing reports", run_id=summary.run_id)
                summary.reports = build_reports(settings.project_dir, settings.child_env())
            record.is_ok = summary.code() == 0
            record.summary = summary.as_dict()
            _write(settings, summary)
    if as_json:
        typer.echo(json.dumps(summary.as_dict(), default=str))
    else:
        _show(settings, summary)
    raise typer.Exit(summary.code())


@contextmanager
def _told(
    settings: Settings, summary: _Summary, *, with_pages: bool, as_json: bool
) -> Iterator[None]:
    """Have run_summary.json and the pages say that the run failed and why, whatever it was that ended it."""
    try:
        yield
    except LockedError:
        raise  # the files are those of the run that holds the lock
    except BaseException as error:
        is_known = isinstance(error, HavenError)
        summary.error = str(error) if is_known else f"it was stopped ({type(error).__name__})"
        summary.error_code = getattr(error, "exit_code", 1)
        summary.is_over = True
        _write(settings, summary)
        if is_known:
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
    if result.failures_table and result.failures:
        text += f"; they are in {result.failures_schema}.{result.failures_table}"
    return text


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _write(settings: Settings, summary: _Summary) -> None:
    path = settings.target_dir / "haven" / "run_summary.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(summary.as_dict(), indent=2, default=str), encoding="utf-8")
    new.replace(path)


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
                _say_failed(f"freshness of {source.name}", source.message or source.criteria)
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
