"""A folder of the user's drawings, or one `.npz` of them, read where it lies."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cliplab.datasets.arrays import ArrayPictures
from cliplab.datasets.drawings import SUFFIXES, DrawingOptions, kinds_of, read_drawings
from cliplab.datasets.index import cached_digests
from cliplab.datasets.strokes import StrokePictures
from cliplab.datasets.tree import listed, walk
from cliplab.nouns import Card, Dataset
from cliplab.runtime.errors import DataError
from cliplab.runtime.progress import say

CARD = Card(
    description="Drawings, dark lines on white. The split is cliplab's: 80 % of the drawings are "
    "training, 10 % validation and 10 % test, each by the SHA-256 of its key."
)


def is_drawing_file(path: Path) -> bool:
    """Whether a file holds drawings, by its suffix."""
    return path.suffix.lower() in SUFFIXES and os.path.isfile(path)  # noqa: PTH113 (never raises)


def holds_drawings(folder: Path) -> bool:
    """Whether files of drawings lie directly in a folder, and no picture lies anywhere in it."""
    with os.scandir(folder) as entries:
        if not any(is_drawing_file(Path(entry.path)) for entry in entries):
            return False
    return not walk(folder).pictures


def open_drawings(path: Path, *, name: str, home: Path) -> Dataset:
    """Open a folder of `.npy`, `.npz` or `.ndjson` files, or one such file.

    The files directly in the folder are taken; they must be of one kind. Drawings are dark on
    white, those of strokes 64 pixels a side; ones that the game did not recognise are left out.
    What each drawing is, is hashed once, and again only when its file changes.

    Parameters
    ----------
    path
        The folder or file.
    name
        As the user calls it.
    home
        Folder of what is kept between runs; an index of the drawings' digests goes there.

    Raises
    ------
    DataError
        Files of several kinds, or as `read_drawings` does.
    """
    root = path if path.is_dir() else path.parent
    found = sorted(entry for entry in root.iterdir() if is_drawing_file(entry))
    files = found if path.is_dir() else [path]
    kinds = kinds_of(files)
    if len(kinds) > 1:
        raise DataError(
            f"{path} holds drawings of several kinds: {kinds_listed(kinds, root)}. Put each kind "
            "into a folder of its own."
        )
    if path.is_dir():
        _tell_deeper(path, walk(path).others)
    options = DrawingOptions()
    dataset = read_drawings(files, name=name, options=options, card=CARD, location=path)
    return with_digests(dataset, root, home)


def kinds_listed(kinds: Mapping[str, Sequence[Path]], root: Path) -> str:
    """Say which files are of which kind: `bitmaps (a.npz), strokes (cat.ndjson and 9 more)`."""
    parts = []
    for kind, paths in sorted(kinds.items()):
        names = [path.relative_to(root).as_posix() for path in paths]
        parts.append(f"{kind} ({listed(names, limit=1)})")
    return ", ".join(parts)


def _tell_deeper(path: Path, others: Sequence[str]) -> None:
    deeper = [file for file in others if "/" in file and Path(file).suffix.lower() in SUFFIXES]
    if deeper:
        say(f"{path}: passed over {len(deeper):,} files in folders within it: {listed(deeper)}")


def with_digests(dataset: Dataset, root: Path, home: Path) -> Dataset:
    """Give the data set with the digest of each drawing; "" of one that cannot be drawn."""
    source = dataset.source
    assert isinstance(source, ArrayPictures | StrokePictures)
    rows: dict[str, list[int]] = {}  # of each file, in the order of the data set
    starts = source.starts.tolist()
    for path, first, end in zip(source.paths, starts, starts[1:], strict=False):
        rows.setdefault(path.relative_to(root).as_posix(), []).extend(range(first, end))

    def digests_of(path: Path) -> list[str]:
        return [_digest(read) for read in source.open(rows[path.relative_to(root).as_posix()])]

    kind = f"drawings of {source.side[0]} pixels, {DrawingOptions().look}"
    found = cached_digests(home, root, list(rows), digests_of, kind=kind)
    digests = dataset.digests.copy()
    for file, digests_of_file in found.items():
        if len(digests_of_file) != len(rows[file]):
            raise DataError(f"{root / file} changed while it was being read. Run it again.")
        digests[rows[file]] = digests_of_file
    return replace(dataset, digests=digests)


def _digest(read: Callable[[], bytes]) -> str:
    try:
        return hashlib.sha256(read()).hexdigest()
    except OSError:
        return ""
