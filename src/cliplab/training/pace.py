"""How many steps so many minutes give, by timing a few whose result is thrown away."""

from __future__ import annotations

import time
from collections.abc import Callable

from cliplab.runtime.progress import say

TRIAL_SECONDS = 10.0  # for which steps are timed


def steps_in(minutes: float, take: Callable[[int], object], seconds: float = TRIAL_SECONDS) -> int:
    """Give the steps that take so many minutes, one at least, and say so.

    Parameters
    ----------
    minutes
        Of the whole training.
    take
        Takes the step of that number; at least three are taken, the first of which does not count.
    seconds
        For which steps are timed.
    """
    took: list[float] = []
    began = time.perf_counter()
    while len(took) < 3 or time.perf_counter() - began < seconds:
        started = time.perf_counter()
        take(len(took))
        took.append(time.perf_counter() - started)
    rate = sorted(took[1:])[len(took[1:]) // 2]
    steps = max(1, round(minutes * 60 / rate))
    finish = time.strftime("%H:%M", time.localtime(time.time() + steps * rate))
    say(f"{rate:.2f} s a step: {steps:,} steps in {minutes:g} minutes, done about {finish}.")
    return steps
