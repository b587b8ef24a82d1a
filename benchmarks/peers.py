"""Other loaders, telemetry off. `make bench-peers` installs each, at a fixed version, in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import table
from benchmarks.cluster import ROOT, Bench
from benchmarks.measure import Pipe

HOME = Path(__file__).parent / ".peers"
SCHEMA = "peer"


@dataclass(frozen=True)
class Job:
    """What a peer is asked to do: `mode` is replace or merge (by `key`, what is new by `watermark`).

    `parallel` asks for parallel reading of one table, where the peer can; `rows` is how many there are.
    `since` is what a peer that keeps no watermark of its own is told to read from, in ISO 8601.
    """

    source: str = f"public.{table.NAME}"
    target: str = table.NAME
    mode: str = "replace"
    key: str = table.KEY
    watermark: str = table.WATERMARK
    parallel: bool = False
    rows: int = 0
    since: str = ""


@dataclass(frozen=True)
class Peer:
    """One loader: how it is called, and what its environment needs; its settings are in docs/performance.md."""

    name: str
    label: str
    requirements: tuple[str, ...]
    command: Callable[[Peer, Bench, Job], Pipe]
    program: str = "bin/python"
    can_split: bool = False
    can_merge: bool = True

    @property
    def path(self) -> str:
        """Return the peer's program; its place may depend on Python's version."""
        found = sorted((HOME / self.name).glob(self.program))
        return str(found[0] if found else HOME / self.name / self.program)

    @property
    def is_installed(self) -> bool:
        """Return whether `make bench-peers` could install it."""
        return Path(self.path).exists()

    def version(self) -> str:
        """Return the version that is installed."""
        name = self.requirements[0].split("==")[0].split("[")[0]
        ask = f"import importlib.metadata as m; print(m.version({name!r}))"
        python = str(HOME / self.name / "bin" / "python")
        done = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def relation(self, job: Job) -> str:
        """Return where the copy is in the warehouse."""
        return f"{SCHEMA}.{job.target}"

    def pipe(self, bench: Bench, job: Job) -> Pipe:
        """Return the command that does `job`."""
        return self.command(self, bench, job)


def _ingestr(peer: Peer, bench: Bench, job: Job) -> Pipe:
    options = ["--incremental-strategy", job.mode, "--primary-key", job.key]
    if job.mode == "merge":
        options += ["--incremental-key", job.watermark]
    if job.since:
        options += ["--interval-start", job.since]
    if job.parallel:
        step = str(max(job.rows // 2, 1) + 1)
        options += ["--extract-parallelism", "2", "--extract-partition-by", job.key]
        options += ["--extract-partition-interval", step]
    command = (
        peer.path, "ingest", "--yes", "--progress", "log", "--no-load-timestamp",
        "--schema-naming", "direct", "--page-size", "50000",
        "--source-uri", bench.url(bench.source), "--source-table", job.source,
        "--dest-uri", bench.url(bench.warehouse), "--dest-table", f"{SCHEMA}.{job.target}",
        *options,
    )  # fmt: skip
    state = str(bench.home / "ingestr")
    more = {"INGESTR_DISABLE_TELEMETRY": "true", "HOME": state, "PIPELINES_DIR": state}
    return Pipe((command,), bench.environment(**more))


def _sling(peer: Peer, bench: Bench, job: Job) -> Pipe:
    mode = ["--mode", "full-refresh", "--primary-key", job.key]
    if job.mode == "merge":
        mode = ["--mode", "incremental", "--primary-key", job.key, "--update-key", job.watermark]
    command = (
        peer.path, "run", "--src-conn", "SOURCE_URL", "--tgt-conn", "WAREHOUSE_URL",
        "--src-stream", job.source, "--tgt-object", f"{SCHEMA}.{job.target}", *mode,
        "--tgt-options", '{"use_bulk": true, "column_casing": "source"}',
    )  # fmt: skip
    more = {
        "SLING_DISABLE_TELEMETRY": "true",
        "SLING_HOME_DIR": str(bench.home / "sling"),
        "SLING_LOADED_AT_COLUMN": "false",
        "HOME": str(bench.home),
    }
    return Pipe((command,), bench.environment(**more))


def _dlt(peer: Peer, bench: Bench, job: Job) -> Pipe:
    script = str(ROOT / "benchmarks" / "scripts" / "dlt_load.py")
    schema, name = job.source.split(".")
    command = (peer.path, script, schema, name, job.target, job.mode, job.key, job.watermark)
    more = {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "DLT_DATA_DIR": str(bench.home / "dlt"),
        "HOME": str(bench.home),
        "NORMALIZE__WORKERS": "2",
        "LOAD__WORKERS": "4",
        "DATA_WRITER__FILE_MAX_ITEMS": "500000",
        "NORMALIZE__DATA_WRITER__FILE_MAX_ITEMS": "500000",
    }
    return Pipe((command,), bench.environment(**more))


def _pandas(peer: Peer, bench: Bench, job: Job) -> Pipe:
    script = str(ROOT / "benchmarks" / "scripts" / "pandas_load.py")
    command = (peer.path, script, job.source, SCHEMA, job.target, job.key, str(job.rows))
    return Pipe((command,), bench.environment())


ALL = (
    Peer("ingestr", "ingestr", ("ingestr==1.1.22",), _ingestr, "bin/ingestr", can_split=True),
    # sling's own package downloads its program from elsewhere at the first start; this one brings it along.
    Peer("sling", "sling", ("sling-linux-amd64==1.4.11",), _sling,
         "lib/python3*/site-packages/sling_linux_amd64/bin/sling-linux-amd64"),
    Peer("dlt", "dlt", ("dlt[postgres,parquet,sql_database]==1.31.0", "sqlalchemy==2.1.9",
         "adbc-driver-postgresql==1.13.0", "pyarrow==26.0.1", "numpy==2.4.6"), _dlt),
    Peer("pandas", "pandas.to_sql", ("pandas==3.1.1", "sqlalchemy==2.1.9", "psycopg2-binary==2.9.13"), _pandas,
         can_merge=False),
)  # fmt: skip


def installed() -> list[Peer]:
    """Return the peers that are there."""
    return [peer for peer in ALL if peer.is_installed]


def main() -> None:
    """Install all; what cannot be had is named and left out."""
    for peer in ALL:
        print(f"{peer.name}: {', '.join(peer.requirements)}", flush=True)
        venv.create(HOME / peer.name, with_pip=True)
        python = str(HOME / peer.name / "bin" / "python")
        command = [python, "-m", "pip", "install", "--quiet", *peer.requirements]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            print(f"{peer.name}: not installed: {reason[0]}", file=sys.stderr)


if __name__ == "__main__":
    main()
