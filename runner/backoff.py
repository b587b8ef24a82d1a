"""How long to wait before another try."""

from __future__ import annotations

import random
from dataclasses import dataclass

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0


@dataclass
class Backoff:
    """Counts tries; between two of them the wait doubles, and is drawn anew below that bound.

    "Full jitter", as in AWS Architecture Blog, "Exponential Backoff and Jitter" (2015): clients that failed together
    do not come back together.
    """

    retries: int
    tries: int = 1

    @property
    def is_spent(self) -> bool:
        """Return whether no retry is left."""
        return self.tries > self.retries

    def next_wait(self) -> float:
        """Count one more try and return the seconds to wait before it."""
        bound = min(FIRST_WAIT_S * 2 ** (self.tries - 1), LONGEST_WAIT_S)
        self.tries += 1
        # At least a quarter, as a server that restarts is never back at once.
        return random.uniform(bound / 4, bound)  # noqa: S311
