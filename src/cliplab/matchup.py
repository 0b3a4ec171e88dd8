"""Drawings and the real pictures that they are held against, class by class, as pixels of one size.

Letters: M drawings, C channels, H W pixels.

Of a class, n drawings at most are taken, the first, and twice as many held-out pictures (test and
validation) at most, by a seed, in two disjoint halves: real pictures are held against the first
half by the second, as the drawings are. A class with few held-out pictures has smaller halves.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from cliplab.drawing_requests import folder_name
from cliplab.nouns import TEST, TRAIN, UNLABELLED, VALIDATION, Dataset, Pixels, Skipped, Task
from cliplab.runtime.errors import DataError
from cliplab.tokenizers.pixel_store import looks_of, open_pixels

FEWEST = 2  # pictures of a half that can be compared
EXTREME = 64  # corners are on average so near to black or white, where they are paper


class Pictures(NamedTuple):
    """Pictures in memory."""

    pixels: np.ndarray  # (M, C, H, W) uint8
    labels: np.ndarray  # (M,) int64, classes of the data set
    ids: np.ndarray  # (M,) str objects


class Matchup(NamedTuple):
    """Drawings, held-out pictures and training pictures, of the same classes and size."""

    task: Task  # whose classes the labels are
    drawn: Pictures  # class by class
    halves: tuple[Pictures, Pictures]  # as many of each class in either, no more than drawings
    training: Pixels
    training_labels: np.ndarray  # (N,) int64, of the training pictures in their places
    left_out: tuple[str, ...]  # classes of the data set that were not drawn
    skipped: tuple[Skipped, ...]  # that cannot be read

    @property
    def held_out(self) -> Pictures:
        """Both halves, the first before the second."""
        return Pictures(*(np.concatenate(pair) for pair in zip(*self.halves, strict=True)))


class Reading(NamedTuple):
    """How pictures are read."""

    folder: Path  # where pixels are kept
    workers: int | None
    on_bad: str


def match_up(
    drawings: Dataset, dataset: Dataset, task: Task, *, n: int, seed: int, reading: Reading
) -> Matchup:
    """Take drawings and what they are held against.

    Parameters
    ----------
    drawings
        Its classes are found among the data set's by their names, without regard to case.
    dataset, task
        Of real pictures, with training and held-out ones.
    n
        Drawings of a class, at most.
    seed
        Of which held-out pictures are taken.
    reading
        How pictures are read.

    Raises
    ------
    DataError
        Classes that the data set does not have, fewer than two classes, or too few pictures of
        one; lines dark on one side and light on the other.
    """
    numbers = _numbers(drawings, dataset, task)
    own = drawings.task()
    drawn_rows, drawn_labels = _first(drawings, own, numbers, n)
    shape = _shape(drawings, dataset, drawn_rows, task)
    drawn, skipped = _pictures(drawings, drawn_rows, drawn_labels, shape, reading)
    held_rows = _held_out(dataset, task, numbers[numbers >= 0], n, seed)
    held, more = _pictures(dataset, held_rows, dataset.labels[task.name][held_rows], shape, reading)
    rows = dataset.rows(task.name, TRAIN)
    training, rest = open_pixels(
        dataset,
        rows,
        size=shape[1:],
        channels=shape[0],
        folder=reading.folder,
        on_bad=reading.on_bad,
        workers=reading.workers,
    )
    _same_lines(drawn.pixels, held.pixels)
    named = set(numbers.tolist())
    left_out = [name for number, name in enumerate(task.class_names) if number not in named]
    return Matchup(
        task,
        drawn,
        _halves(drawn, held, task),
        training,
        dataset.labels[task.name][training.rows],
        tuple(left_out),
        (*skipped, *more, *rest),
    )


# ------------------------------------------------------------------------------- classes


def class_key(name: str) -> str:
    """Give what a class is matched by: a folder's name and the words that it stands for have one.

    >>> class_key("The_Mona_Lisa") == class_key("the mona lisa")
    True
    """
    return " ".join(folder_name(name).replace("_", " ").split()).casefold()


def _numbers(drawings: Dataset, dataset: Dataset, task: Task) -> np.ndarray:
    """(C',) class of the drawings → class of the data set; -1: a class without drawings."""
    own = drawings.task()
    places = {class_key(name): number for number, name in enumerate(task.class_names)}
    there = np.unique(drawings.labels[own.name])
    strange = [own.class_names[c] for c in there if c >= 0]
    strange = [name for name in strange if class_key(name) not in places]
    if strange or len(there[there >= 0]) < 2:
        theirs = ", ".join(map(repr, task.class_names[:8]))
        more = " …" if len(task.class_names) > 8 else ""
        what = (
            f"classes that {dataset.name!r} does not have: {', '.join(map(repr, strange[:8]))}"
            if strange
            else "fewer than two classes"
        )
        raise DataError(
            f"{drawings.name!r} has {what}. Classes are matched by name; {dataset.name!r} has "
            f"{theirs}{more}. Put the drawings into one folder a class, called as it is called."
        )
    found = np.full(len(own.class_names), UNLABELLED, dtype=np.int64)
    for c in there[there >= 0]:
        found[c] = places[class_key(own.class_names[c])]
    return found


def _first(
    drawings: Dataset, own: Task, numbers: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the first n drawings of each class, class by class, and the data set's classes."""
    labels = drawings.labels[own.name]
    order = [c for c in np.argsort(numbers, kind="stable") if numbers[c] >= 0]
    rows = np.concatenate([np.flatnonzero(labels == c)[:n] for c in order])
    return rows, numbers[labels[rows]]


def _held_out(dataset: Dataset, task: Task, classes: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Rows of 2 n held-out pictures of each class, or all there are, in an order by the seed."""
    rows = dataset.rows(task.name)
    rows = rows[np.isin(dataset.splits[task.name][rows].astype(str), (TEST, VALIDATION))]
    labels = dataset.labels[task.name][rows]
    found = [
        np.random.default_rng([seed, number]).permutation(rows[labels == number])[: 2 * n]
        for number in np.sort(classes).tolist()
    ]
    return np.concatenate(found)


def _halves(drawn: Pictures, held: Pictures, task: Task) -> tuple[Pictures, Pictures]:
    """Cut each class's held-out pictures in two halves, no larger than its drawings."""
    halves: tuple[list[np.ndarray], list[np.ndarray]] = [], []
    few = []
    for number in np.unique(drawn.labels):
        there = np.flatnonzero(held.labels == number)
        size = min(int((drawn.labels == number).sum()), len(there) // 2)
        if size < FEWEST:
            few.append(f"{task.class_names[number]!r} ({len(there)} held-out pictures)")
        halves[0].append(there[:size])
        halves[1].append(there[size : 2 * size])
    if few:
        raise DataError(
            f"Too few pictures to compare: {', '.join(few[:8])}. Each class takes {FEWEST} "
            f"drawings and {2 * FEWEST} real pictures that are held out (test or validation)."
        )
    return _some(held, np.concatenate(halves[0])), _some(held, np.concatenate(halves[1]))


def _some(pictures: Pictures, chosen: np.ndarray) -> Pictures:
    return Pictures(*(column[chosen] for column in pictures))


# ------------------------------------------------------------------------------- pixels


def _shape(
    drawings: Dataset, dataset: Dataset, rows: np.ndarray, task: Task
) -> tuple[int, int, int]:
    """(C, H, W) that both are brought to: the smaller side of the two, grey if both are."""
    looks = [looks_of(drawings, rows), looks_of(dataset, dataset.rows(task.name))]
    side = min(found[0] for found in looks)
    return 1 if all(found[1] for found in looks) else 3, side, side


def _pictures(
    dataset: Dataset,
    rows: np.ndarray,
    labels: np.ndarray,
    shape: tuple[int, int, int],
    reading: Reading,
) -> tuple[Pictures, tuple[Skipped, ...]]:
    pixels, skipped = open_pixels(
        dataset,
        rows,
        size=shape[1:],
        channels=shape[0],
        folder=reading.folder,
        on_bad=reading.on_bad,
        workers=reading.workers,
    )
    kept = np.isin(rows, pixels.rows)
    read = np.ascontiguousarray(pixels.read(np.arange(len(pixels.rows))))
    return Pictures(read, labels[kept], dataset.ids[rows[kept]]), skipped


def _same_lines(drawn: np.ndarray, real: np.ndarray) -> None:
    """Refuse light lines on black beside dark lines on white, which nothing would recognise."""
    if drawn.shape[1] != 1:
        return
    paper = [pictures[:, :, [0, 0, -1, -1], [0, -1, 0, -1]].mean() for pictures in (drawn, real)]
    told = all(tone < EXTREME or tone > 255 - EXTREME for tone in paper)
    dark = [tone > EXTREME for tone in paper]
    if told and dark[0] != dark[1]:
        words = ["dark lines on white" if is_dark else "light lines on black" for is_dark in dark]
        raise DataError(
            f"The drawings are {words[0]}, the real ones {words[1]}. Turn one of them: Quick, "
            "Draw! and other files of drawings take --look dark or light."
        )
