"""Small data sets in memory, with real encoded pictures, for what writes and reads tables."""

from __future__ import annotations

import hashlib
import io
from functools import partial

import numpy as np
import pytest

from cliplab.nouns import Card, Dataset, Prompts, Task


class PicturesInMemory:
    """A source of given bytes; None cannot be read."""

    def __init__(self, contents):
        self.contents = contents

    def open(self, rows):
        return (partial(self._read, row) for row in rows)

    def _read(self, row):
        if self.contents[row] is None:
            raise OSError("gone")
        return self.contents[row]


def png(seed: int) -> bytes:
    """An 8x8 picture of noise."""
    from PIL import Image

    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def make_pictures(count: int = 60, **changes) -> Dataset:
    """`count` pictures of three classes, a quarter each for validation and test."""
    contents = changes.pop("contents", None) or [png(seed) for seed in range(count)]
    names = ("cat", "dog", "été")
    digests = ["" if c is None else hashlib.sha256(c).hexdigest() for c in contents]
    splits = [("train", "test", "train", "validation")[i % 4] for i in range(count)]
    whole = {
        "name": "noise",
        "tasks": {"label": Task("label", names, Prompts("data set", ("a {}",), {"cat": ("c",)}))},
        "ids": np.array([f"{names[i % 3]}/{i:04d}.png" for i in range(count)], dtype=object),
        "labels": {"label": np.array([i % 3 if i % 7 else -1 for i in range(count)])},
        "splits": {"label": np.array(splits, dtype=object)},
        "digests": np.array(digests, dtype=object),
        "source": PicturesInMemory(contents),
        "captions": [(f"a {names[i % 3]}", f"picture {i}")[: i % 3] for i in range(count)],
        "card": Card("Noise.", "CC BY 4.0", "@misc{noise}", "https://example.org"),
    }
    return Dataset(**(whole | changes))


@pytest.fixture
def make_dataset():
    """A function that makes a small data set of noise; see `make_pictures`."""
    return make_pictures


@pytest.fixture
def make_png():
    """A function that gives the bytes of a small picture of noise."""
    return png


@pytest.fixture
def pictures_in_memory():
    """The class of sources whose bytes are given."""
    return PicturesInMemory
