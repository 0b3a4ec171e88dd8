"""Pictures read, hashed and verified ahead of whoever writes them: in order, bounded, in parallel.

One thread asks the source, which may be a stream; threads of a pool read what it hands out, hash
and decode it. What is in flight is bounded by count and by bytes.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np

from cliplab.nouns import PictureSource
from cliplab.pictures.decode import what_is_wrong
from cliplab.pictures.loader import default_workers

MOST_BYTES = 64_000_000  # of pictures in flight; a single larger one goes alone
MOST_EACH = 16  # pictures in flight for each worker


class Read(NamedTuple):
    """One picture as it was read."""

    content: bytes | None  # the encoded bytes; None: they cannot be had
    digest: str  # hex SHA-256 of them; "" without
    reason: str | None  # why it cannot be read or decoded; None: all is well


def read_ahead(
    source: PictureSource,
    rows: Sequence[int],
    sizes: np.ndarray | None = None,
    *,
    workers: int | None = None,
) -> Generator[Read, None, None]:
    """Read pictures in the order of `rows`, each hashed, and decoded to see whether it can be.

    Parameters
    ----------
    source, rows
        Where from, and which; each row is asked for once, in order, in one thread.
    sizes
        (N,) int64, bytes of each picture of the source, to bound what is in flight; without, only
        the count is bounded.
    workers
        Threads that read and decode. Default: one a usable core, at most 16.

    Yields
    ------
    Read
        A picture that cannot be read (`OSError`) or decoded comes with the reason. Whatever else
        the source raises is raised.
    """
    workers = workers or default_workers()
    budget = _Budget(MOST_EACH * workers)
    found: SimpleQueue[tuple[Future[Read], int] | BaseException | None] = SimpleQueue()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="cliplab-verify")

    def feed() -> None:
        try:
            for row, read in zip(rows, source.open(rows), strict=True):
                weight = 0 if sizes is None else int(sizes[row])
                if not budget.take(weight):
                    return
                found.put((pool.submit(_read, read), weight))
            found.put(None)
        except BaseException as error:
            found.put(error)

    feeder = threading.Thread(target=feed, name="cliplab-read", daemon=True)
    feeder.start()
    try:
        while (item := found.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            future, weight = item
            result = future.result()
            budget.give_back(weight)
            yield result
    finally:
        budget.stop()
        pool.shutdown(cancel_futures=True)
        feeder.join()


class _Budget:
    """How much may be in flight; waits until there is room, or the work is stopped."""

    def __init__(self, most: int) -> None:
        self._most, self._count, self._bytes = most, 0, 0
        self._stopped = False
        self._changed = threading.Condition()

    def take(self, weight: int) -> bool:
        """Wait for room; False once the work is stopped."""

        def has_room() -> bool:
            fits = self._count < self._most and self._bytes + weight <= MOST_BYTES
            return self._stopped or self._count == 0 or fits

        with self._changed:
            self._changed.wait_for(has_room)
            self._count, self._bytes = self._count + 1, self._bytes + weight
            return not self._stopped

    def give_back(self, weight: int) -> None:
        with self._changed:
            self._count, self._bytes = self._count - 1, self._bytes - weight
            self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()


def _read(read: Callable[[], bytes]) -> Read:
    try:
        content = read()
    except OSError as error:
        return Read(None, "", f"cannot be read: {error.strerror or error}")
    return Read(content, hashlib.sha256(content).hexdigest(), what_is_wrong(content))
