"""Files of drawings, bitmaps or strokes, as one data set: a file or array is a class.

Three kinds of files are told apart: `bitmaps` (`.npy`, `.npz`), `strokes` (simplified `.ndjson`)
and `raw` (`.ndjson` with times). Whatever they are, the pictures have one look.
"""

from __future__ import annotations

import functools
import re
import urllib.parse
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cliplab.datasets.arrays import ArrayPictures, ClassArray, find_arrays
from cliplab.datasets.splits import hashed_split
from cliplab.datasets.strokes import (
    StrokeIndex,
    StrokePictures,
    first_drawing_is_raw,
    index_strokes,
)
from cliplab.nouns import Card, Dataset, Prompts, Task
from cliplab.runtime.errors import DataError, UsageError
from cliplab.runtime.progress import progress, say

BITMAPS, STROKES, RAW = "bitmaps", "strokes", "raw"
SUFFIXES = (".npy", ".npz", ".ndjson")
DARK, LIGHT = "dark", "light"  # lines: dark on white, light on black
DRAWN_SIZE = 64  # pixels a side, of strokes
LARGEST_SIZE = 1024
TASK = "label"
PROMPTS = Prompts(
    "data set",
    (
        "a quick drawing of a {}",
        "a doodle of a {}",
        "a simple line drawing of a {}",
        "a {}, drawn in twenty seconds",
        "a black and white sketch of a {}",
    ),
)

# As the files of the collection are called where they were fetched with their folder's name.
_FETCHED = re.compile(r"full_(numpy_bitmap|simplified|raw)_")


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawingOptions:
    """What is taken of a collection of drawings, and how it looks."""

    size: int | None = None  # pixels a side; None: that of bitmaps, 64 of strokes
    per_class: int | None = None  # the first so many of each class; None: all
    look: str = DARK  # lines "dark" on white or "light" on black
    all_drawings: bool = False  # also those that the game did not recognise (strokes tell)

    def __post_init__(self) -> None:
        if self.size is not None and not 8 <= self.size <= LARGEST_SIZE:
            raise UsageError(f"--size {self.size}: give 8 to {LARGEST_SIZE} pixels.")
        if self.per_class is not None and self.per_class < 1:
            raise UsageError(f"--per-class {self.per_class}: give 1 or more.")
        if self.look not in (DARK, LIGHT):
            raise UsageError(f"--look {self.look}: give {DARK} (on white) or {LIGHT} (on black).")


class _Group(NamedTuple):
    """The drawings of one class."""

    name: str  # in words
    part: ClassArray | StrokeIndex

    @property
    def path(self) -> Path:
        return self.part.path

    @property
    def rows(self) -> int:
        return self.part.rows if isinstance(self.part, ClassArray) else len(self.part.keys)

    def keys(self) -> list[str]:
        """Give what tells the drawings apart: the collection's own key, else class and row."""
        if isinstance(self.part, StrokeIndex):
            return self.part.keys
        return [f"{self.name}/{row}" for row in range(self.rows)]

    def ids(self) -> list[str]:
        """Class and key (or row), as a path."""
        if isinstance(self.part, StrokeIndex):
            return [f"{self.name}/{key}.png" for key in self.part.keys]
        return [f"{key}.png" for key in self.keys()]


@functools.cache
def class_names() -> tuple[str, ...]:
    """Names of the 345 classes, in the order of the collection's own list."""
    text = resources.files("cliplab.datasets").joinpath("quickdraw_classes.txt").read_text("utf-8")
    return tuple(text.splitlines())


def class_of(name: str) -> str:
    """Give the class that a file, array or word is called after.

    >>> class_of("full_numpy_bitmap_aircraft%20carrier"), class_of("the_eiffel_tower")
    ('aircraft carrier', 'The Eiffel Tower')
    """
    plain = _FETCHED.sub("", urllib.parse.unquote(name))
    known = {name.casefold(): name for name in class_names()}
    return known.get(" ".join(plain.replace("_", " ").split()).casefold(), plain)


def kinds_of(files: Sequence[Path]) -> dict[str, list[Path]]:
    """Sort files by kind: `bitmaps`, `strokes`, `raw`; others are left out."""
    found: dict[str, list[Path]] = {}
    for path in files:
        suffix = path.suffix.lower()
        if suffix in (".npy", ".npz"):
            found.setdefault(BITMAPS, []).append(path)
        elif suffix == ".ndjson":
            kind = RAW if first_drawing_is_raw(path) else STROKES
            found.setdefault(kind, []).append(path)
    return found


def read_drawings(
    files: Sequence[Path],
    *,
    name: str,
    options: DrawingOptions,
    card: Card,
    location: Path | None = None,
) -> Dataset:
    """Make a data set of files of one kind.

    Classes stand in the order of the collection's list (`class_names`) where they are known there,
    others behind them by name. Rows stand class by class, in the order of the files' lines or rows.
    The split is that of `hashed_split` over the collection's keys; a bitmap has none, and its class
    and row ("cat/17") stand in for it; a class of few drawings may lack a side. Digests are "" (not
    known).

    Parameters
    ----------
    files
        All bitmaps, all simplified strokes, or all raw ones.
    name, card, location
        Of the data set.
    options
        What is taken, and how it looks.

    Raises
    ------
    DataError
        Files that cannot be read, of several sizes, or two of one class; fewer than two classes.
    UsageError
        Options that such files cannot follow.
    """
    bitmaps = any(path.suffix.lower() != ".ndjson" for path in files)
    groups = _bitmaps(files, options) if bitmaps else _strokes(files, options)
    groups = _ordered(groups, name)
    counts = [group.rows for group in groups]
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    labels = np.repeat(np.arange(len(groups), dtype=np.int64), counts)
    with progress("splitting", len(labels), unit="drawings") as advance:
        splits = np.concatenate([_split(group, advance) for group in groups])
    names = tuple(group.name for group in groups)
    ids = np.concatenate([np.array(group.ids(), dtype=object) for group in groups])
    return Dataset(
        name=name,
        tasks={TASK: Task(TASK, names, PROMPTS, may_lack_training=True)},
        ids=ids,
        labels={TASK: labels},
        splits={TASK: splits},
        digests=np.full(len(ids), "", dtype=object),
        source=_source(groups, starts, options),
        card=card,
        split_origin="hashed",
        location=location,
    )


def _split(group: _Group, advance: Callable[[int], None]) -> np.ndarray:
    found = hashed_split(group.keys())
    advance(len(found))
    return found


def _bitmaps(files: Sequence[Path], options: DrawingOptions) -> list[_Group]:
    arrays = [array for path in files for array in find_arrays(path)]
    sides = Counter(array.side for array in arrays)
    if len(sides) > 1:
        listing = ", ".join(f"{h}x{w} ({n} classes)" for (h, w), n in sides.most_common())
        raise DataError(f"The bitmaps are of several sizes: {listing}. Keep those of one size.")
    (height, width) = next(iter(sides))
    if options.size is not None and (options.size, options.size) != (height, width):
        raise UsageError(
            f"--size {options.size}: the bitmaps are {height}x{width} pixels and stay so. Drawings "
            "of any size are made of the strokes: quickdraw/strokes."
        )
    if options.per_class is not None:
        arrays = [a._replace(rows=min(a.rows, options.per_class)) for a in arrays]
    if empty := [class_of(array.name) for array in arrays if not array.rows]:
        say(f"Classes without a drawing are left out: {', '.join(empty)}")
    return [_Group(class_of(array.name), array) for array in arrays if array.rows]


def _strokes(files: Sequence[Path], options: DrawingOptions) -> list[_Group]:
    groups, n_left_out = [], 0
    with progress("indexing", len(files), unit="files") as advance:
        for path in files:
            index = index_strokes(
                path, recognized_only=not options.all_drawings, limit=options.per_class
            )
            groups.append(_Group(class_of(index.word), index))
            n_left_out += index.n_unrecognized
            advance(1)
    if n_left_out:
        say(f"{n_left_out:,} drawings that the game did not recognise are left out.")
    return groups


def _ordered(groups: Sequence[_Group], name: str) -> list[_Group]:
    by_class: dict[str, list[_Group]] = defaultdict(list)
    for group in groups:
        by_class[group.name].append(group)
    twice = [found for found in by_class.values() if len(found) > 1]
    if twice:
        listing = ", ".join(str(group.path) for group in twice[0])
        raise DataError(
            f"{name}: {len(twice)} classes are there twice, such as {twice[0][0].name!r}: "
            f"{listing}. Keep one file of each class."
        )
    if len(groups) < 2:
        raise DataError(
            f"{name} has one class alone ({groups[0].name!r}); telling apart takes at least two. "
            "Put the files of other classes beside it."
            if groups
            else f"{name} holds no drawings."
        )
    place = {known: number for number, known in enumerate(class_names())}
    return sorted(groups, key=lambda group: (place.get(group.name, len(place)), group.name))


def _source(
    groups: Sequence[_Group], starts: np.ndarray, options: DrawingOptions
) -> ArrayPictures | StrokePictures:
    parts = [group.part for group in groups]
    arrays = tuple(part for part in parts if isinstance(part, ClassArray))
    if arrays:
        return ArrayPictures(arrays, starts, is_inverted=options.look == DARK)
    # Their keys, millions of strings, are in the ids already.
    indexes = tuple(part._replace(keys=[]) for part in parts if isinstance(part, StrokeIndex))
    return StrokePictures(indexes, starts, options.size or DRAWN_SIZE, is_dark=options.look == DARK)
