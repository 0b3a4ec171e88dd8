"""Pictures that stand in a data set more than once, and the data set in which each stands once."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from cliplab.datasets.views import Column, columns_of, view
from cliplab.nouns import TEST, UNLABELLED, Dataset

NAMED_BY_WORK = ("wikiart",)  # data sets whose file names say which painting it is


class Doubles(NamedTuple):
    """How many pictures of a task stand in it more than once."""

    pictures: int  # different ones that do
    rows: int  # rows in which they do
    across: int  # of the pictures: how many are on both sides of the split


def picture_keys(dataset: Dataset) -> np.ndarray:
    """(N,) str objects that two rows of the same picture share: the SHA-256 of its bytes.

    In WikiArt, the name of the file, which holds artist and title: one painting stands under
    several styles. A picture that cannot be read has its id, so that it is nobody's double.
    """
    if _is_named_by_work(dataset):
        return np.array([PurePosixPath(id_).name for id_ in dataset.ids], dtype=object)
    pairs = zip(dataset.digests, dataset.ids, strict=True)
    return np.array([digest or id_ for digest, id_ in pairs], dtype=object)


def doubles(keys: np.ndarray, labels: np.ndarray, splits: np.ndarray) -> Doubles:
    """Count the labelled pictures that stand in a task more than once.

    Parameters
    ----------
    keys
        (N,) str objects, equal for the same picture.
    labels
        (N,) int64, -1 is unlabelled.
    splits
        (N,) str objects; both sides are "test" and any other but "".
    """
    labelled = labels != UNLABELLED
    count = Counter(keys[labelled])
    several = {key for key, n in count.items() if n > 1}
    tested = set(keys[labelled & (splits == TEST)]) & several
    learned = set(keys[labelled & (splits != TEST) & (splits != "")]) & several
    return Doubles(len(several), sum(count[key] for key in several), len(tested & learned))


def warning_of_doubles(dataset: Dataset, task: str) -> list[str]:
    """Give a warning, or none, of paintings on both sides of a split, in sets named by the work."""
    if not _is_named_by_work(dataset):
        return []
    found = doubles(picture_keys(dataset), dataset.labels[task], dataset.splits[task])
    if not found.across:
        return []
    return [
        f"{found.pictures:,} file names stand under more than one class of {task}, {found.across} "
        "of them on both sides of the split; --deduplicate counts each once."
    ]


def _is_named_by_work(dataset: Dataset) -> bool:
    return dataset.name.partition("/")[0] in NAMED_BY_WORK


def deduplicated(dataset: Dataset) -> Dataset:
    """Give the data set in which each picture stands once in each task: its first row counts.

    Further rows are unlabelled in that task, and rows without a label in any are left out. Where
    nothing is doubled, the data set itself is given; else its name ends in `/deduplicated`.
    """
    keys = picture_keys(dataset)
    columns = [_each_once(column, keys) for column in columns_of(dataset)]
    pairs = zip(columns, columns_of(dataset), strict=True)
    if all((new.labels == old.labels).all() for new, old in pairs):
        return dataset
    name = f"{dataset.name.rstrip('/')}/deduplicated"
    return view(dataset, columns, name=name)


def _each_once(column: Column, keys: np.ndarray) -> Column:
    first: dict[str, int] = {}
    labelled = np.flatnonzero(column.labels != UNLABELLED).tolist()
    again = [row for row in labelled if first.setdefault(keys[row], row) != row]
    labels, splits = column.labels.copy(), column.splits.copy()
    labels[again], splits[again] = UNLABELLED, ""
    return Column(column.task, labels, splits)
