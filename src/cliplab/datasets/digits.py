"""Digits: 1,797 handwritten ones that come with scikit-learn; real pictures, no download."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from cliplab.datasets.entry import EMBEDDED, CatalogueEntry
from cliplab.datasets.grey import grey_png
from cliplab.datasets.splits import fixed_split
from cliplab.nouns import Card, Dataset, Prompts, Task

NAME, TASK = "digits", "digit"
CLASS_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PROMPTS = Prompts(
    "data set",
    (
        "the digit {}",
        "a handwritten digit {}",
        "the number {}, written by hand",
        "a small grey picture of the digit {}",
        'a scan of the number "{}"',
    ),
)
CARD = Card(
    description="Handwritten digits of 13 people, 8x8 pixels of 17 greys: the test part of the "
    "UCI collection, as scikit-learn brings it. The split into training and test is cliplab's.",
    licence="CC BY 4.0",
    citation="@misc{alpaydin1998optical,\n"
    "  author = {Alpaydin, E. and Kaynak, C.},\n"
    "  title = {Optical Recognition of Handwritten Digits},\n"
    "  howpublished = {UCI Machine Learning Repository},\n"
    "  year = {1998},\n"
    "  doi = {10.24432/C50P49}\n}",
    homepage="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
)
TRAPS = (
    "8x8 pixels: an encoder sees them blown up, which says little of how well it reads.",
    "The source splits by writer; scikit-learn brings its test part alone and does not say who "
    "wrote what, so that writers stand on both sides of the fixed split.",
)
ENTRIES = (
    CatalogueEntry(
        name=NAME,
        description="Handwritten digits, 8x8 pixels, from scikit-learn.",
        tasks={TASK: len(CLASS_NAMES)},
        pictures=1797,
        splits={"train": 1438, "test": 359},
        licence=CARD.licence,
        size=0,
        state=EMBEDDED,
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class GreyPictures:
    """The `PictureSource` (and `PixelSource`) of grey pixels in memory, given as PNG."""

    greys: np.ndarray  # (N, H, W) uint8

    def open(self, rows: Sequence[int]) -> Iterator[Callable[[], bytes]]:
        """For each row, a callable that gives its PNG; see `nouns.PictureSource`."""
        return (partial(grey_png, self.greys[row]) for row in rows)

    def pixels(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """(n, H, W) uint8 of `rows`, in that order."""
        found: np.ndarray = self.greys[np.asarray(rows, dtype=np.int64)]
        return found


def open_entry(name: str = NAME, *, home: Path | None = None) -> Dataset:
    """Open the digits; nothing is downloaded or written.

    The greys 0..16 become ``round(255 / 16 * grey)``. The split is `fixed_split` of the ids, which
    are `digits/0000.png` to `digits/1796.png` in scikit-learn's order.
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels = np.rint(found.images * (255 / 16)).astype(np.uint8)
    labels = found.target.astype(np.int64)
    ids = np.array([f"{NAME}/{row:04d}.png" for row in range(len(pixels))], dtype=object)
    digests = [hashlib.sha256(grey_png(picture)).hexdigest() for picture in pixels]
    return Dataset(
        name=name,
        tasks={TASK: Task(TASK, CLASS_NAMES, PROMPTS)},
        ids=ids,
        labels={TASK: labels},
        splits={TASK: fixed_split(ids, labels)},
        digests=np.array(digests, dtype=object),
        source=GreyPictures(pixels),
        card=CARD,
        split_origin="fixed",
    )
