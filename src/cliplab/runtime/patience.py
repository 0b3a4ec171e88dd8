"""How long a download is kept up: attempts, and the time between them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from cliplab.runtime.errors import UsageError


@dataclass(frozen=True, slots=True)
class Patience:
    """When to try again and when to give up; waits double each time, with jitter."""

    attempts: int = 7  # in a row in which not a byte was gained; then the next mirror
    first_wait: float = 1.0  # seconds
    longest_wait: float = 60.0  # seconds, also where a server asks for more by Retry-After: 1 h
    timeout: float = 60.0  # seconds without a byte, after which a connection counts as lost
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random  # in [0, 1)

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.timeout <= 0 or self.first_wait < 0:
            raise UsageError(f"Patience is one attempt or more, and a time above 0, not {self}.")

    def wait(self, failures: int, asked: float | None = None) -> float:
        """Seconds to wait after so many failures in a row, at least what the server asked for.

        Between half and all of ``first_wait * 2 ** (failures - 1)``, so that many who were cut off
        at once do not come back at once.
        """
        longest = min(self.longest_wait, self.first_wait * 2.0 ** (failures - 1))
        return max(longest * (0.5 + self.jitter() / 2), min(asked or 0.0, 3600.0))


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds that the header Retry-After asks for: a number or a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())
