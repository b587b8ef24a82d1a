"""Other loaders, each in an environment of its own under benchmarks/.peers (`make bench-peers`), telemetry off."""

from __future__ import annotations

import subprocess
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
    """One loader: how it is called, and what it is."""

    name: str
    label: str
    program: str
    version_command: tuple[str, ...]
    command: Callable[[Peer, Bench, Job], Pipe]
    can_split: bool = False
    can_merge: bool = True
    settings: str = ""

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
        """Return its version as it says itself."""
        done = subprocess.run(
            [self.path, *self.version_command],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
        return done.stdout.strip().rsplit(" ", 1)[-1].removeprefix("v")

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
    Peer("ingestr", "ingestr", "bin/ingestr", ("--version",), _ingestr, can_split=True,
         settings="page size 50,000; merge by primary key and incremental key; it keeps no watermark, so an "
         "increment is told where its interval starts"),
    Peer("sling", "sling",
         "lib/python3*/site-packages/sling_linux_amd64/bin/sling-linux-amd64", ("--version",),
         _sling, settings="bulk on (COPY); full-refresh and incremental"),
    Peer("dlt", "dlt", "bin/python",
         ("-c", "import importlib.metadata as m; print(m.version('dlt'))"), _dlt,
         settings="pyarrow backend, parquet files loaded through ADBC, several workers"),
    Peer("pandas", "pandas.to_sql", "bin/python",
         ("-c", "import importlib.metadata as m; print(m.version('pandas'))"), _pandas,
         can_merge=False, settings="read in chunks of 20,000, method multi"),
)  # fmt: skip


def installed() -> list[Peer]:
    """Return the peers that are there."""
    return [peer for peer in ALL if peer.is_installed]
