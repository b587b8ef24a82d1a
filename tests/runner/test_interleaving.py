"""Random interleavings in short (`make interleavings` runs many): raw = source, and a broken bound is seen."""

from __future__ import annotations

import pytest
from conftest import Databases
from interleaving.__main__ import found, wrong
from interleaving.mutants import MUTANTS
from interleaving.play import Place, made_ready

SEED = 7
HISTORIES = 36


@pytest.fixture
def place(databases: Databases) -> Place:
    """A source that a login with SELECT only reads, and a warehouse."""
    return made_ready(databases.create("source"), databases.create("warehouse"))


def test_l1_l2_l3_random_interleavings_end_with_raw_equal_to_the_source(place: Place) -> None:
    """Marks of all types, writers west and east and over a change of clocks, also inside the loads."""
    count, history = wrong(place, 0, HISTORIES, SEED)
    assert history is None, "\n".join(history.log)
    assert count == HISTORIES


def test_l1_a_bound_that_does_not_wait_is_found_out(place: Place) -> None:
    """The test of the test; `make interleavings` plants the others too."""
    assert found(place, next(iter(MUTANTS)), SEED) is not None
