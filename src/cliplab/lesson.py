"""Training pictures of another data set: its classes are found among those scored, by their names.

C classes of the data set that is scored, C' of the one that is learned from, S that both share.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from cliplab.nouns import TRAIN, UNLABELLED, VALIDATION, Dataset, Embeddings, Task
from cliplab.runtime.errors import DataError

NONE = -1


class Lesson(NamedTuple):
    """Where the training pictures come from, and which classes are scored."""

    dataset: Dataset
    task: Task
    classes: np.ndarray  # (C',) int64, class of `task` → class scored in 0..S-1; -1: none of them
    scored: np.ndarray  # (C,) int64, class of the scored data set → class scored; -1: left out
    left_out: tuple[str, ...]  # names of classes that only one of the two has, or without pictures


def taught_classes(dataset: Dataset, task: Task) -> np.ndarray:
    """(C,) bool, whether a class has a training or validation picture."""
    labels = dataset.labels[task.name]
    learned = np.isin(dataset.splits[task.name].astype(str), (TRAIN, VALIDATION))
    present = np.zeros(len(task.class_names), dtype=bool)
    present[labels[learned & (labels != UNLABELLED)]] = True
    return present


def class_keys(*tasks: Task) -> list[list[str]]:
    """Names by which classes are matched, for each task: without regard to case, if that is safe.

    Where two classes of a task differ by case alone ("a" and "A"), names are taken as they are.
    """
    exact = [[unicodedata.normalize("NFC", name) for name in task.class_names] for task in tasks]
    folded = [[name.casefold() for name in names] for names in exact]
    return folded if all(len(set(names)) == len(names) for names in folded) else exact


def learn_from(
    scored: tuple[Dataset, Task],
    other: tuple[Dataset, Task],
    common: Collection[str] | None = None,
) -> Lesson:
    """Match the classes of two data sets by name; what both have is scored, in the first's order.

    Parameters
    ----------
    scored, other
        What is scored, and what is learned from.
    common
        Class keys to keep to, as `class_keys` gives them; None: all that both have, and of which
        the other has training pictures.

    Raises
    ------
    DataError
        They share fewer than two classes; the message names some of both and the closest.
    """
    (data, task), (teacher, lessons) = scored, other
    own, theirs = class_keys(task, lessons)
    place = {key: c for c, key in enumerate(theirs)}
    taught = taught_classes(teacher, lessons)
    keep = [
        c
        for c, key in enumerate(own)
        if key in place and taught[place[key]] and (common is None or key in common)
    ]
    if len(keep) < 2:
        raise DataError(_too_few(data, task, teacher, lessons, len(keep)))
    to_shared = np.full(len(own), NONE, dtype=np.int64)
    to_shared[keep] = np.arange(len(keep))
    classes = np.full(len(theirs), NONE, dtype=np.int64)
    for c in keep:
        classes[place[own[c]]] = to_shared[c]
    left = [name for name, c in zip(task.class_names, to_shared, strict=True) if c == NONE]
    known = set(own)
    left += [n for n, key in zip(lessons.class_names, theirs, strict=True) if key not in known]
    return Lesson(teacher, lessons, classes, to_shared, tuple(left))


def relabelled(
    embeddings: Embeddings, classes: np.ndarray | None, names: tuple[str, ...]
) -> Embeddings:
    """Give labels (n,) of the classes scored; `classes` None: they are as they stand."""
    if classes is None:
        return embeddings
    return replace(embeddings, labels=classes[embeddings.labels], class_names=names)


def some(names: Sequence[str], most: int = 8) -> str:
    """Name the first few, quoted."""
    return ", ".join(map(repr, names[:most])) + (" …" if len(names) > most else "")


def _too_few(data: Dataset, task: Task, teacher: Dataset, lessons: Task, n: int) -> str:
    close = [
        f"{name!r} and {found[0]!r}"
        for name in task.class_names
        if (found := difflib.get_close_matches(name, lessons.class_names, n=1, cutoff=0.7))
        and found[0] != name
    ]
    alike = f" Alike, but not equal: {', '.join(close[:4])}." if close else ""
    return (
        f"{data.name!r} and {teacher.name!r} share {n} classes with training pictures; it takes at "
        f"least two. Classes are matched by name: {data.name!r} has {some(task.class_names)}; "
        f"{teacher.name!r} has {some(lessons.class_names)}.{alike} Rename class folders so that "
        "the same class has the same name in both."
    )
