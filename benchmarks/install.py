"""`make bench-peers`: install each other loader, at a fixed version, into an environment of its own."""

from __future__ import annotations

import subprocess
import sys
import venv

from benchmarks.peers import HOME

# sling's own package downloads its program from elsewhere at the first start; this one brings it along.
REQUIREMENTS = {
    "ingestr": ("ingestr==1.1.22",),
    "sling": ("sling-linux-amd64==1.4.11",),
    "dlt": (
        "dlt[postgres,parquet,sql_database]==1.31.0",
        "sqlalchemy==2.1.9",
        "adbc-driver-postgresql==1.13.0",
        "pyarrow==26.0.1",
        "numpy==2.4.6",
    ),
    "pandas": ("pandas==3.1.1", "sqlalchemy==2.1.9", "psycopg2-binary==2.9.13"),
}


def main() -> None:
    """Install what is missing; what cannot be had is named and left out."""
    for name, requirements in REQUIREMENTS.items():
        folder = HOME / name
        print(f"{name}: {', '.join(requirements)}", flush=True)
        venv.create(folder, with_pip=True)
        done = subprocess.run(
            [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *requirements],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            print(f"{name}: not installed: {reason[0]}", file=sys.stderr)


if __name__ == "__main__":
    main()
