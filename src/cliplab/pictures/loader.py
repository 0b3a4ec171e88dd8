"""Pictures read, decoded and prepared ahead of the encoder: in order, bounded, in parallel.

Threads do the work, since Pillow releases the interpreter while it decodes and resizes: nothing is
copied between processes, and nothing is left behind when the run is killed.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cliplab.nouns import PictureSource
from cliplab.pictures.decode import MAX_PIXELS, UnreadablePicture, decode

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

MOST_WORKERS = 16
BATCHES_AHEAD = 2  # whole batches that wait for the encoder


class Loaded(NamedTuple):
    """One picture: its pixels, or why there are none."""

    row: int
    pixels: torch.Tensor | None  # (3, H, W) float32
    reason: str | None


class PictureBatch(NamedTuple):
    """The readable pictures of one batch, and those that are not."""

    rows: np.ndarray  # (b,) int64, those read
    pixels: torch.Tensor  # (b, 3, H, W) float32
    skipped: list[tuple[int, str]]  # (row, reason)


def default_workers() -> int:
    """One a usable core, at most `MOST_WORKERS`."""
    from cliplab.runtime.machine import usable_cores

    return min(usable_cores(), MOST_WORKERS)


def load_pictures(
    source: PictureSource,
    rows: Sequence[int] | np.ndarray,
    prepare: Callable[[Image], torch.Tensor],
    *,
    workers: int | None = None,
    window: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Generator[Loaded, None, None]:
    """Pictures in the order of `rows`, at most `window` of them in memory at once.

    Parameters
    ----------
    source, rows
        Where from, and which.
    prepare
        8-bit RGB picture → (3, H, W) float32; called in several threads.
    workers
        Threads; None: one a core.
    window
        Pictures in flight, read ahead of the one handed out; None: four a worker.
    max_pixels
        As for `decode`.
    """
    workers = workers or default_workers()
    window = max(window or 4 * workers, 1)
    tasks = zip(rows, source.open([int(row) for row in rows]), strict=True)
    in_flight: deque[Future[Loaded]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="cliplab-decode") as pool:
        try:
            for row, read in islice(tasks, window):
                in_flight.append(pool.submit(_load, int(row), read, prepare, max_pixels))
            while in_flight:
                yield in_flight.popleft().result()
                for row, read in islice(tasks, 1):
                    in_flight.append(pool.submit(_load, int(row), read, prepare, max_pixels))
        finally:
            for future in in_flight:
                future.cancel()


def _load(
    row: int,
    read: Callable[[], bytes],
    prepare: Callable[[Image], torch.Tensor],
    max_pixels: int,
) -> Loaded:
    try:
        return Loaded(row, prepare(decode(read(), max_pixels=max_pixels)), None)
    except UnreadablePicture as error:
        return Loaded(row, None, error.reason)
    except OSError as error:  # the file went away, or is not ours to read
        return Loaded(row, None, f"cannot be read: {error.strerror or error}")


def batches(
    source: PictureSource,
    rows: Sequence[int] | np.ndarray,
    prepare: Callable[[Image], torch.Tensor],
    *,
    batch_size: int,
    workers: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Generator[PictureBatch, None, None]:
    """Batches put together ahead of the encoder by a thread of their own.

    Batch k holds the readable ones of `rows[k * batch_size : (k + 1) * batch_size]`, whatever the
    timing. Closing the generator stops the threads.
    """
    stop = threading.Event()
    waiting: queue.Queue[PictureBatch | BaseException | None] = queue.Queue(BATCHES_AHEAD)

    def put(item: PictureBatch | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def run() -> None:
        try:
            for batch in _assembled(source, rows, prepare, batch_size, workers, max_pixels):
                if not put(batch):
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=run, name="cliplab-batches", daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()


def _assembled(
    source: PictureSource,
    rows: Sequence[int] | np.ndarray,
    prepare: Callable[[Image], torch.Tensor],
    batch_size: int,
    workers: int | None,
    max_pixels: int,
) -> Iterator[PictureBatch]:
    loaded = load_pictures(source, rows, prepare, workers=workers, max_pixels=max_pixels)
    try:
        while group := list(islice(loaded, batch_size)):
            yield _together(group)
    finally:
        loaded.close()


def _together(group: Sequence[Loaded]) -> PictureBatch:
    import torch

    read: list[Any] = [(one.row, one.pixels) for one in group if one.pixels is not None]
    skipped = [(one.row, one.reason) for one in group if one.reason is not None]
    pixels = torch.stack([p for _, p in read]) if read else torch.empty(0, 3, 0, 0)
    return PictureBatch(np.array([row for row, _ in read], dtype=np.int64), pixels, skipped)
