"""The seed of holidays is what the maintained library says, for every year of the calendar."""

from __future__ import annotations

import runpy

from conftest import ROOT


def test_the_seed_of_holidays_equals_the_library() -> None:
    made = runpy.run_path(str(ROOT / ".ci" / "make_holidays.py"))
    assert made["SEED"].read_text(encoding="utf-8") == made["seed"](), "run `make holidays`"
