"""Pictures as a tokenizer trains on them: 8-bit pixels of one size, read by row, never all at once.

Sources that hold grey pixels of the right size (`nouns.PixelSource`) are read as they are. Other
pictures are decoded, brought to size and written to one file of raw bytes, once; a batch then reads
its rows from the file. N pictures, C channels, H W pixels.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cliplab.nouns import Dataset, PixelSource, Skipped, digest_of
from cliplab.pictures.loader import load_pictures
from cliplab.runtime.errors import DataError
from cliplab.runtime.progress import progress, say
from cliplab.runtime.storage import atomic_write, locked, read_json, write_json

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

FORMAT_VERSION = 1


class ArrayPixels(NamedTuple):
    """Pixels that a source holds already."""

    source: PixelSource
    rows: np.ndarray  # (N,) int64, rows of the data set
    shape: tuple[int, int, int]  # (C, H, W)

    def read(self, places: Sequence[int] | np.ndarray) -> np.ndarray:
        """Give (n, C, H, W) uint8 of these places among `rows`, in that order."""
        found = self.source.pixels(self.rows[np.asarray(places)])[:, None]
        return np.broadcast_to(found, (len(found), *self.shape))


class FilePixels(NamedTuple):
    """Pixels in a file of raw bytes, read without mapping it, so that it takes no memory."""

    path: Path
    rows: np.ndarray  # (N,) int64, rows of the data set whose pictures could be read
    shape: tuple[int, int, int]  # (C, H, W)

    def read(self, places: Sequence[int] | np.ndarray) -> np.ndarray:
        """Give (n, C, H, W) uint8 of these places among `rows`, in that order."""
        size = int(np.prod(self.shape))
        found = np.empty((len(places), *self.shape), dtype=np.uint8)
        handle = os.open(self.path, os.O_RDONLY)
        try:
            for number, place in enumerate(np.asarray(places).tolist()):
                raw = os.pread(handle, size, place * size)
                if len(raw) < size:
                    raise DataError(f"{self.path} is cut short. Remove it; it will be made again.")
                found[number] = np.frombuffer(raw, dtype=np.uint8).reshape(self.shape)
        finally:
            os.close(handle)
        return found


Pixels = ArrayPixels | FilePixels
"""8-bit pictures of one size, by their place."""


def open_pixels(
    dataset: Dataset,
    rows: np.ndarray,
    *,
    size: tuple[int, int],
    channels: int,
    folder: Path,
    on_bad: str = "list",
    workers: int | None = None,
) -> tuple[Pixels, tuple[Skipped, ...]]:
    """Give pictures of a data set as pixels of one size, and those that cannot be read.

    A picture is resized by its shorter side and cropped at the centre (area averaging when it
    shrinks); channels 1 makes it grey (ITU-R 601 luma).

    Parameters
    ----------
    dataset
        Where the pictures are.
    rows
        (N,) int64, which of them.
    size
        (H, W) pixels.
    channels
        1 (grey) or 3 (colour).
    folder
        Where a file of pixels is kept.
    on_bad
        "list": an unreadable picture is left out; "fail": it ends the work.
    workers
        Threads that decode.

    Raises
    ------
    DataError
        None can be read; or, with `on_bad="fail"`, one cannot.
    """
    source = dataset.source
    if isinstance(source, PixelSource) and len(rows):
        found = source.pixels(rows[:1])
        if found.shape[1:] == size:
            return ArrayPixels(source, rows, (channels, *size)), ()
    path = folder / f"{_key(dataset, rows, size, channels)}.u8"
    with locked(path, lambda: say(f"Waiting for another process that reads {dataset.name} …")):
        about = path.with_suffix(".json")
        if not (path.is_file() and about.is_file()):
            _write(dataset, rows, path, (channels, *size), workers)
        noted = read_json(about, FORMAT_VERSION)
    skipped = tuple(Skipped(*one) for one in noted["skipped"])
    _tell(dataset, skipped, len(rows), on_bad)
    return FilePixels(path, np.array(noted["rows"], dtype=np.int64), (channels, *size)), skipped


def _key(dataset: Dataset, rows: np.ndarray, size: tuple[int, int], channels: int) -> str:
    pictures = digest_of([str(dataset.digests[row]) or str(dataset.ids[row]) for row in rows])
    parts = [FORMAT_VERSION, pictures, rows.tolist(), list(size), channels]
    return digest_of([*parts, *source_marks(dataset)])[:16]


def source_marks(dataset: Dataset) -> list[list[object]]:
    """Give name, and size and time of the files, of a data set of pictures without digests.

    Its content digest would not change with the files, nor with how drawings look (its name does).
    """
    paths = getattr(dataset.source, "paths", ())
    if isinstance(paths, Mapping):
        paths = tuple(paths.values())
    if not len(paths) or all(dataset.digests):
        return []
    found = [(path, path.stat()) for path in sorted(set(paths))]
    marks = [[path.name, stat.st_size, stat.st_mtime_ns] for path, stat in found]
    return [[dataset.name], *marks]


def _write(
    dataset: Dataset,
    rows: np.ndarray,
    path: Path,
    shape: tuple[int, int, int],
    workers: int | None,
) -> None:
    kept: list[int] = []
    skipped: list[list[str]] = []
    stream = load_pictures(dataset.source, rows, brought_to(shape), workers=workers)
    with atomic_write(path) as file, progress("reading", len(rows)) as advance:
        for one in stream:
            if one.pixels is None:
                skipped.append([str(dataset.ids[one.row]), str(one.reason)])
            else:
                kept.append(int(one.row))
                file.write(one.pixels.numpy().tobytes())
            advance(1)
    noted = {"format_version": FORMAT_VERSION, "rows": kept, "skipped": skipped}
    write_json(path.with_suffix(".json"), noted)


def brought_to(shape: tuple[int, int, int]) -> Any:
    """Give what turns a picture into (C, H, W) uint8, as `open_pixels` says."""
    channels, height, width = shape

    def prepare(picture: Image) -> torch.Tensor:
        import torch
        from PIL.Image import Resampling
        from PIL.ImageOps import fit

        shrinks = min(picture.size) >= min(width, height)
        method = Resampling.BOX if shrinks else Resampling.BICUBIC
        sized = fit(picture.convert("L" if channels == 1 else "RGB"), (width, height), method)
        pixels = np.asarray(sized, dtype=np.uint8).reshape(height, width, channels)
        return torch.from_numpy(np.array(pixels.transpose(2, 0, 1), order="C"))

    return prepare


def _tell(dataset: Dataset, skipped: Sequence[Skipped], n: int, on_bad: str) -> None:
    if not skipped:
        return
    first = f"{skipped[0].id}: {skipped[0].reason}"
    if len(skipped) == n:
        raise DataError(f"None of the {n} pictures of {dataset.name!r} can be read ({first}).")
    if on_bad == "fail":
        raise DataError(
            f"{len(skipped)} of {n} pictures cannot be read ({first}). With --on-bad list such "
            "pictures are left out."
        )
    say(f"{len(skipped)} of {n} pictures cannot be read and are left out ({first}).")


def readable_pixels(dataset: Dataset, rows: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Give those of a few pictures that can be read, (n, C, H, W) uint8, brought to size."""
    source = dataset.source
    if isinstance(source, PixelSource) and len(rows):
        found = source.pixels(rows)
        if found.shape[1:] == shape[1:]:
            return np.array(np.broadcast_to(found[:, None], (len(found), *shape)))
    stream = load_pictures(source, rows, brought_to(shape))
    read = [one.pixels.numpy() for one in stream if one.pixels is not None]
    return np.stack(read) if read else np.empty((0, *shape), dtype=np.uint8)


def looks_of(dataset: Dataset, rows: np.ndarray, most: int = 32) -> tuple[int, bool]:
    """Give the shorter side (median, pixels) of a few pictures, and whether all of them are grey.

    Those that cannot be read are passed over; DataError if none can.
    """
    source = dataset.source
    if isinstance(source, PixelSource) and len(rows):
        return int(min(source.pixels(rows[:1]).shape[1:])), True
    chosen = rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)]
    found = [one.pixels for one in load_pictures(source, chosen, _looks) if one.pixels is not None]
    if not found:
        raise DataError(f"No picture of {dataset.name!r} can be read; there is nothing to learn.")
    sides = sorted(int(looks[0]) for looks in found)
    return sides[len(sides) // 2], all(bool(looks[1]) for looks in found)


def _looks(picture: Image) -> torch.Tensor:
    import torch

    small = np.asarray(picture.resize((32, 32))).astype(np.int16)
    is_grey = int(np.abs(small - small.mean(axis=2, keepdims=True)).max()) <= 4
    return torch.tensor([min(picture.size), int(is_grey)])
