"""Pictures read, decoded and prepared ahead of the encoder: in order, bounded, in parallel.

Threads do the work, since Pillow releases the interpreter while it decodes and resizes: nothing is
copied between processes, and nothing is left behind when the run is killed.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cliplab.nouns import PictureSource
from cliplab.pictures.decode import MAX_PIXELS as MAX_PIXELS
from cliplab.pictures.decode import decode
from cliplab.pictures.unreadable import UnreadablePicture
from cliplab.runtime.machine import usable_cores

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    Prepare = Callable[[Image], torch.Tensor]

MOST_WORKERS = 16
AHEAD = 4  # pictures in flight for each worker

_counting = threading.Lock()


class Loaded(NamedTuple):
    """One picture: its pixels, or why there are none."""

    row: int
    pixels: torch.Tensor | None  # (3, H, W) float32
    reason: str | None


class PictureBatch(NamedTuple):
    """The readable pictures of one batch, and those that are not."""

    rows: np.ndarray  # (b,) int64, those read, in the order asked for
    pixels: torch.Tensor  # (b, 3, H, W) float32
    skipped: list[tuple[int, str]]  # (row, reason) of the others


def default_workers() -> int:
    """One a usable core, at most `MOST_WORKERS`."""
    return min(usable_cores(), MOST_WORKERS)


def load_pictures(
    source: PictureSource,
    rows: Sequence[int] | np.ndarray,
    prepare: Prepare,
    *,
    workers: int | None = None,
    window: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Generator[Loaded, None, None]:
    """Load pictures in the order of `rows`, at most `window` of them in memory at once.

    Parameters
    ----------
    source, rows
        Where from, and which.
    prepare
        8-bit RGB picture → (3, H, W) float32; called in several threads.
    workers
        Threads. Default: one a usable core, at most 16.
    window
        Pictures in flight, the one handed out among them. Default: four a worker.
    max_pixels
        As for `decode`.

    Yields
    ------
    Loaded
        A picture that is gone, damaged or no picture comes with a reason in place of pixels.
        Whatever else goes wrong (a fault of `prepare`, say) is raised. Closing the generator ends
        the threads as soon as the pictures that they hold are done.
    """
    job = _Job(prepare, max_pixels)
    workers = workers or default_workers()
    return _ordered(job, source, [int(row) for row in rows], workers, window or AHEAD * workers)


def batches(
    source: PictureSource,
    rows: Sequence[int] | np.ndarray,
    prepare: Prepare,
    *,
    batch_size: int,
    workers: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Generator[PictureBatch, None, None]:
    """Load pictures batch by batch, the next one put together while the encoder has this one.

    Batch k holds the readable ones of `rows[k * batch_size : (k + 1) * batch_size]`, whatever the
    timing. In memory are at most three batches (the encoder's, the next, the one being made) and
    the pictures in flight. The parameters are those of `load_pictures`.

    Yields
    ------
    PictureBatch
        Without pixels, shape (0, 3, 0, 0), where none of its pictures can be read.
    """
    job = _Job(prepare, max_pixels)
    workers = workers or default_workers()
    loaded = _ordered(job, source, [int(row) for row in rows], workers, AHEAD * workers)
    with ThreadPoolExecutor(1, thread_name_prefix="cliplab-batches") as assembler:
        try:
            upcoming = assembler.submit(_assembled, loaded, batch_size)
            while (batch := upcoming.result()) is not None:
                upcoming = assembler.submit(_assembled, loaded, batch_size)
                yield batch
        finally:
            job.stopped.set()  # what the assembler still waits for comes at once
            assembler.submit(loaded.close)


class _Job:
    """What is done to each picture, until it is stopped."""

    def __init__(self, prepare: Prepare, max_pixels: int) -> None:
        self.prepare, self.max_pixels = prepare, max_pixels
        self.stopped = threading.Event()

    def load(self, row: int, read: Callable[[], bytes]) -> Loaded:
        if self.stopped.is_set():
            return Loaded(row, None, "stopped")
        try:
            return Loaded(row, self.prepare(decode(read(), max_pixels=self.max_pixels)), None)
        except UnreadablePicture as error:
            return Loaded(row, None, error.reason)
        except OSError as error:  # the file went away, or is not ours to read
            return Loaded(row, None, f"cannot be read: {error.strerror or error}")
        except MemoryError:
            return Loaded(row, None, "not enough memory to decode it")


def _ordered(
    job: _Job, source: PictureSource, rows: list[int], workers: int, window: int
) -> Generator[Loaded, None, None]:
    tasks = zip(rows, source.open(rows), strict=True)
    in_flight: deque[Future[Loaded]] = deque()
    with ThreadPoolExecutor(workers, "cliplab-decode", _keep_torch_to_one_thread) as pool:
        try:
            for row, read in tasks:
                in_flight.append(pool.submit(job.load, row, read))
                if len(in_flight) >= window:
                    yield in_flight.popleft().result()
            while in_flight:
                yield in_flight.popleft().result()
        finally:
            job.stopped.set()
            for future in in_flight:
                future.cancel()


def _keep_torch_to_one_thread() -> None:
    """Let the thread that calls this do its small tensors alone.

    Otherwise each worker gets a team of threads of its own from OpenMP, to the encoder's cost. The
    count is the thread's own, but is also what threads to come will start with: that is put back,
    by a thread that ends.
    """
    import torch

    with _counting:
        given = torch.get_num_threads()
        torch.set_num_threads(1)
        restorer = threading.Thread(target=torch.set_num_threads, args=(given,))
        restorer.start()
        restorer.join()


def _assembled(loaded: Iterator[Loaded], batch_size: int) -> PictureBatch | None:
    """Put the next `batch_size` pictures together; None after the last.

    Each is copied to its place as it comes, by NumPy: `torch.stack` would start threads of its own
    beside the encoder's.
    """
    import torch

    rows: list[int] = []
    skipped: list[tuple[int, str]] = []
    pixels = None
    for one in islice(loaded, batch_size):
        if one.pixels is None:
            skipped.append((one.row, one.reason or ""))
            continue
        if pixels is None:
            pixels = torch.empty((batch_size, *one.pixels.shape), dtype=one.pixels.dtype)
        pixels[len(rows)].numpy()[...] = one.pixels.numpy()
        rows.append(one.row)
    if not rows and not skipped:
        return None
    read = torch.empty(0, 3, 0, 0) if pixels is None else pixels[: len(rows)]
    return PictureBatch(np.array(rows, dtype=np.int64), read, skipped)
