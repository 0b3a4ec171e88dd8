"""Digits in place of drawings, as a file of arrays that is a data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from cliplab.datasets.digits import CLASS_NAMES
from cliplab.datasets.family import open_dataset
from cliplab.nouns import Dataset
from cliplab.tokenizers.pixel_store import readable_pixels


def digit_pixels(number: int, split: str, n: int, *, last: bool = False) -> np.ndarray:
    """The first (or last) n digits of a class in a split, (n, 8, 8) uint8."""
    digits = open_dataset("digits").dataset
    labels, splits = digits.labels["digit"], digits.splits["digit"]
    rows = np.flatnonzero((labels == number) & (splits == split))
    rows = rows[-n:] if last else rows[:n]
    return readable_pixels(digits, rows, (1, 8, 8))[:, 0]


def write_digits(
    path: Path, made: Callable[[int], np.ndarray], *, inverted: bool = False
) -> Dataset:
    """Write what `made` gives of each class, (n, 8, 8), and open it as drawings.

    Files of arrays are opened as dark lines on white, so that they hold the inverse.
    """
    arrays = {
        name: made(number).astype(np.uint8) if inverted else 255 - made(number).astype(np.uint8)
        for number, name in enumerate(CLASS_NAMES)
    }
    np.savez(path, **arrays)
    return open_dataset(path).dataset
