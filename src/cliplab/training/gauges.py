"""How fast a training goes, and what it holds of memory."""

from __future__ import annotations

import time
from collections.abc import Mapping

from cliplab.training.memory import held_memory

SMOOTH = 0.9  # of the rate so far, at each step
MEMORY_SECONDS = 1.0  # between looks at the memory, which take some milliseconds


class Gauges:
    """Read after each step of `batch_size` pictures."""

    def __init__(self, batch_size: int, device: str) -> None:
        self.batch_size, self.device = batch_size, device
        self.last = time.monotonic()
        self.seconds: float | None = None  # a step, smoothed
        self.looked, self.memory = -MEMORY_SECONDS, 0

    def __call__(self) -> Mapping[str, float]:
        """Give pictures a second, and bytes held."""
        now = time.monotonic()
        took, self.last = max(now - self.last, 1e-9), now
        before = took if self.seconds is None else self.seconds
        self.seconds = SMOOTH * before + (1 - SMOOTH) * took
        if now - self.looked >= MEMORY_SECONDS:
            self.looked, self.memory = now, held_memory(self.device)
        return {"pictures_a_second": self.batch_size / self.seconds, "memory": float(self.memory)}
