"""A data set's pictures as 8-bit pixels of one size, batch after batch; nothing is kept.

What is seen once (a tokenizer's evaluation, its tokens) is read so; what is drawn from at random,
as by training, is read from a `pixel_store`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

import numpy as np

from cliplab.nouns import Dataset, PixelSource, Skipped
from cliplab.pictures.loader import batches
from cliplab.runtime.errors import DataError
from cliplab.tokenizers.pixel_store import brought_to


class PixelBatch(NamedTuple):
    """Pictures of a stretch of rows, and those of them that cannot be read."""

    rows: np.ndarray  # (n,) int64, the data set's
    pixels: np.ndarray  # (n, C, H, W) uint8
    skipped: tuple[Skipped, ...]


def stream_pixels(
    dataset: Dataset,
    rows: np.ndarray,
    shape: tuple[int, int, int],
    *,
    batch_size: int,
    workers: int | None = None,
    on_bad: str = "list",
) -> Generator[PixelBatch, None, None]:
    """Give pictures in the order of `rows` (N,) int64, as `open_pixels` would bring them to size.

    Parameters
    ----------
    dataset
        Where the pictures are.
    rows
        Which of them.
    shape
        (C, H, W) that they are brought to.
    batch_size
        Rows at once; a batch holds the readable ones.
    workers
        Threads that decode.
    on_bad
        "list": an unreadable picture is told of in its batch; "fail": it ends the work.

    Raises
    ------
    DataError
        With `on_bad="fail"`, a picture cannot be read.
    """
    source = dataset.source
    if not len(rows):
        return
    if isinstance(source, PixelSource) and source.pixels(rows[:1]).shape[1:] == shape[1:]:
        yield from _as_they_are(source, rows, shape, batch_size)
        return
    prepare = brought_to(shape)
    stream = batches(source, rows, prepare, batch_size=batch_size, workers=workers)
    try:
        for batch in stream:
            skipped = tuple(Skipped(str(dataset.ids[row]), why) for row, why in batch.skipped)
            if skipped and on_bad == "fail":
                raise DataError(
                    f"{skipped[0].id} cannot be read: {skipped[0].reason}. With --on-bad list "
                    "such pictures are left out."
                )
            pixels = batch.pixels.numpy() if len(batch.rows) else np.empty((0, *shape), np.uint8)
            yield PixelBatch(batch.rows, pixels, skipped)
    finally:
        stream.close()


def _as_they_are(
    source: PixelSource, rows: np.ndarray, shape: tuple[int, int, int], batch_size: int
) -> Generator[PixelBatch, None, None]:
    for start in range(0, len(rows), batch_size):
        part = np.asarray(rows[start : start + batch_size], dtype=np.int64)
        found = source.pixels(part)[:, None]
        yield PixelBatch(part, np.broadcast_to(found, (len(part), *shape)), ())


def mean_picture(
    dataset: Dataset,
    rows: np.ndarray,
    shape: tuple[int, int, int],
    *,
    most: int = 2_000,
    workers: int | None = None,
) -> np.ndarray:
    """Give the mean (C, H, W) float64 in 0..255 of at most so many pictures, evenly chosen.

    Raises
    ------
    DataError
        None of them can be read.
    """
    chosen = evenly(rows, most)
    total, n = np.zeros(shape), 0
    for batch in stream_pixels(dataset, chosen, shape, batch_size=64, workers=workers):
        total += batch.pixels.sum(axis=0, dtype=np.float64)
        n += len(batch.rows)
    if not n:
        raise DataError(f"None of {len(chosen)} pictures of {dataset.name!r} can be read.")
    return total / n


def evenly(rows: np.ndarray, most: int) -> np.ndarray:
    """Give at most `most` of `rows`, evenly spread over them, in their order."""
    if len(rows) <= most:
        return rows
    found: np.ndarray = rows[np.arange(most) * len(rows) // most]
    return found
