"""Small data sets of made pictures, whose bytes lie in memory."""

from __future__ import annotations

import errno
import hashlib
import io
from functools import partial

import numpy as np
import pytest

from cliplab.nouns import Dataset, Task


class InMemory:
    """A picture source over encoded bytes, some of which may be out of reach."""

    def __init__(self, contents: list[bytes]) -> None:
        self.contents = contents
        self.gone: set[int] = set()  # rows that cannot be opened
        self.opened: list[int] = []  # rows asked for so far

    def open(self, rows):
        for row in rows:
            self.opened.append(row)
            yield partial(self._read, row)

    def _read(self, row: int) -> bytes:
        if row in self.gone:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")
        return self.contents[row]


def picture(seed: int) -> bytes:
    from PIL import Image

    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def dataset(
    n: int, *, bad: tuple[int, ...] = (), start: int = 0, tasks: tuple[str, ...] = ("label",)
) -> Dataset:
    """n pictures of three classes, every fourth for testing; the rows in `bad` hold no picture."""
    contents = [b"<html>no picture %d" % i if i in bad else picture(start + i) for i in range(n)]
    labels = np.arange(n, dtype=np.int64) % 3
    splits = np.array(["test" if i % 4 == 0 else "train" for i in range(n)], dtype=object)
    return Dataset(
        name="made",
        tasks={name: Task(name, ("cat", "dog", "hen")) for name in tasks},
        ids=np.array([f"{start + i:05d}.png" for i in range(n)], dtype=object),
        labels=dict.fromkeys(tasks, labels),
        splits=dict.fromkeys(tasks, splits),
        digests=np.array([hashlib.sha256(c).hexdigest() for c in contents], dtype=object),
        source=InMemory(contents),
    )


@pytest.fixture
def make_dataset():
    return dataset


@pytest.fixture
def small_parts(monkeypatch) -> int:
    """Parts of eight pictures, so that a small data set has several."""
    import cliplab.embeddings.plan as plan

    monkeypatch.setattr(plan, "PART", 8)
    return 8
