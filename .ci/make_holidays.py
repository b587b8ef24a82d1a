"""Make seeds/reference/holidays.csv again from the maintained library `holidays`, for the years of dim_dates.

Usage: `make holidays`. The years come from the calendar variables of dbt_project.yml, so that every day of dim_dates
has its answer. Days are the proper ones, not those observed when a holiday falls on a weekend.
"""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from pathlib import Path

import holidays
import yaml

ROOT = Path(__file__).parents[1]
SEED = ROOT / "seeds" / "reference" / "holidays.csv"


def seed() -> str:
    """Return the text of the seed: the federal holidays of the United States, in order."""
    calendar = yaml.safe_load((ROOT / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]
    first = date.fromisoformat(calendar["calendar_start_date"])
    last = date.fromisoformat(calendar["calendar_end_date"]) - timedelta(days=1)
    known = holidays.country_holidays("US", years=range(first.year, last.year + 1), observed=False, language="en_US")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("holiday_date", "holiday_name"))
    writer.writerows((day, known[day]) for day in sorted(known) if first <= day <= last)
    return text.getvalue()


if __name__ == "__main__":
    SEED.write_text(seed(), encoding="utf-8")
    print(f"{SEED.relative_to(ROOT)} is written with holidays {holidays.__version__}")
