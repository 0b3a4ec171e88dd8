"""Values that change over a training, given as fractions of the run: half a cosine, then flat.

DALL-E's three schedules (Ramesh et al. 2021, appendix A.2) are half cosines; linear ones "typically
led to divergence". Theirs are given in updates of a run of three million; fractions scale with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cliplab.runtime.errors import UsageError


@dataclass(frozen=True, slots=True)
class Cosine:
    """From `first` to `last` over the share `over` of the run, `last` from there on."""

    first: float
    last: float
    over: float = 1.0  # share of the steps, in (0, 1]

    def __post_init__(self) -> None:
        if not 0.0 < self.over <= 1.0:
            raise UsageError(
                f"A schedule runs over a share in (0, 1] of the steps, not {self.over}."
            )

    def at(self, step: int, steps: int) -> float:
        """Value at a step counted from 0, in a run of `steps`.

        >>> Cosine(1.0, 0.0, 0.5).at(0, 100), Cosine(1.0, 0.0, 0.5).at(50, 100)
        (1.0, 0.0)
        """
        along = min(1.0, step / (self.over * steps))
        return self.last + (self.first - self.last) * 0.5 * (1.0 + math.cos(math.pi * along))
