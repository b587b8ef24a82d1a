"""Rebuilds a partitioned model over and over, each time as a new generation; writes builds.json.

Usage: swap_builds.py PROJECT SECONDS
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import closing
from pathlib import Path

import psycopg2
from dbt.cli.main import dbtRunner


def main() -> None:
    """Build until the time is over; the first build that fails ends it with exit code 1."""
    project, seconds = Path(sys.argv[1]), float(sys.argv[2])
    runner = dbtRunner()
    builds = []
    with closing(psycopg2.connect(os.environ["WAREHOUSE_URL"])) as session:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with session, session.cursor() as cursor:
                cursor.execute("update generation set number = number + 1")
            started = time.monotonic()
            folders = ["--project-dir", str(project), "--profiles-dir", str(project.parent)]
            done = runner.invoke(["run", "--quiet", *folders])
            if not done.success:
                messages = [str(one.message) for one in getattr(done.result, "results", [])]
                sys.exit(" ".join(messages) or str(done.exception))
            builds.append(round(time.monotonic() - started, 3))
    (project / "builds.json").write_text(json.dumps(builds), encoding="utf-8")


if __name__ == "__main__":
    main()
