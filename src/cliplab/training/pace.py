"""How many steps so many minutes give, by timing some whose result is thrown away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from cliplab.runtime.progress import say

if TYPE_CHECKING:
    from torch import nn

SHARE, LEAST, MOST = 0.05, 10.0, 60.0  # of the time, and seconds, for which steps are timed
LARGEST_SHARE = 0.2  # of a time so short that the least would be too long


def steps_in(minutes: float, take: Callable[[int], object], seconds: float | None = None) -> int:
    """Give the steps that take what is left of so many minutes, one at least, and say so.

    The mean is taken, not the median: on a busy machine steps that had to wait are part of the time
    that the training will take. The minutes begin when this does.

    Parameters
    ----------
    minutes
        Of the whole training.
    take
        Takes the step of that number, all that the training's own does; at least three are taken,
        the first of which does not count.
    seconds
        For which steps are timed. Default: a twentieth of the time, within limits.
    """
    whole = minutes * 60
    if seconds is None:
        seconds = min(max(LEAST, min(MOST, SHARE * whole)), LARGEST_SHARE * whole)
    began = time.perf_counter()
    take(0)
    started, taken = time.perf_counter(), 0
    while taken < 2 or time.perf_counter() - began < seconds:
        taken += 1
        take(taken)
    now = time.perf_counter()
    rate = (now - started) / taken
    left = whole - (now - began)
    steps = max(1, round(left / rate))
    finish = time.strftime("%H:%M:%S", time.localtime(time.time() + steps * rate))
    say(
        f"{rate:.2f} s a step: {steps:,} steps in {minutes:g} minutes, done about {finish}; what "
        "is measured then comes on top."
    )
    return steps


def whole_step(
    model: nn.Module,
    gradient: Callable[[np.ndarray, int], object],
    batches: Iterator[np.ndarray],
    after: Callable[[int], object] | None = None,
) -> Callable[[int], None]:
    """Give what takes a step with all that a training's has, and changes no weight by AdamW.

    Parameters
    ----------
    model
        To be thrown away.
    gradient
        Adds the gradients of a batch (places, step), as the training does.
    batches
        Places of pictures.
    after
        What the training does after a step, where it does more.
    """
    import torch

    from cliplab.training.averages import average_of, move_average

    fused = next(model.parameters()).device.type != "mps"
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, fused=fused)
    average = average_of(model)

    def take(step: int) -> None:
        optimizer.zero_grad()
        gradient(next(batches), step)
        float(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0))
        optimizer.step()
        if after is not None:
            after(step)
        move_average(average, model, 0.999, step)

    return take
