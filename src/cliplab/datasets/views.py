"""A data set seen differently: some of its pictures, other tasks, several joined; no copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NamedTuple

import numpy as np

from cliplab.nouns import UNLABELLED, Card, Dataset, PictureSource, Task
from cliplab.runtime.errors import DataError


class Column(NamedTuple):
    """A task with a label and a split for each picture of a data set."""

    task: Task
    labels: np.ndarray  # (N,) int64 in -1..C-1, -1 is unlabelled
    splits: np.ndarray  # (N,) str objects: train, validation, test, "" (none)


@dataclass(frozen=True, slots=True, eq=False)
class ChosenPictures:
    """The `PictureSource` of some rows of another one."""

    source: PictureSource
    rows: np.ndarray  # (n,) int64, row of `source` for each row here

    def open(self, rows: Sequence[int]) -> Iterator[Callable[[], bytes]]:
        """For each row, a callable that gives its encoded bytes; see `nouns.PictureSource`."""
        return self.source.open(self.rows[np.asarray(rows, dtype=np.int64)].tolist())


@dataclass(frozen=True, slots=True, eq=False)
class JoinedPictures:
    """The `PictureSource` of several, whose rows follow one another."""

    sources: tuple[PictureSource, ...]
    starts: np.ndarray  # (P,) int64, first row of each source

    def open(self, rows: Sequence[int]) -> Iterator[Callable[[], bytes]]:
        """For each row, a callable that gives its encoded bytes; see `nouns.PictureSource`.

        Rows that follow one another in one source are asked of it together.
        """
        asked = np.asarray(rows, dtype=np.int64)
        of_row = np.searchsorted(self.starts, asked, side="right") - 1
        for part, group in groupby(range(len(asked)), key=lambda place: int(of_row[place])):
            inside = asked[list(group)] - self.starts[part]
            yield from self.sources[part].open(inside.tolist())


def view(
    dataset: Dataset,
    columns: Sequence[Column],
    *,
    name: str,
    card: Card | None = None,
    split_origin: str | None = None,
) -> Dataset:
    """Give the pictures of a data set that `columns` label, with these tasks alone.

    Parameters
    ----------
    dataset
        Whose pictures are looked at, N of them; they are read where they lie.
    columns
        Tasks over all N pictures, the default one first. Pictures that none of them labels are
        left out.
    name, card, split_origin
        Of the view; the data set's own card and origin by default.

    Raises
    ------
    DataError
        If no picture is labelled.
    """
    labelled = [column.labels != UNLABELLED for column in columns]
    rows = np.flatnonzero(np.any(labelled, axis=0))
    if not len(rows):
        raise DataError(f"{name} would have no pictures: nothing in {dataset.name} is labelled so.")
    kept = set(dataset.ids[rows])
    captions = dataset.captions
    return replace(
        dataset,
        name=name,
        tasks={column.task.name: column.task for column in columns},
        ids=dataset.ids[rows],
        labels={column.task.name: column.labels[rows] for column in columns},
        splits={column.task.name: column.splits[rows] for column in columns},
        digests=dataset.digests[rows],
        source=ChosenPictures(dataset.source, rows),
        captions=None if captions is None else [captions[row] for row in rows.tolist()],
        card=card or dataset.card,
        split_origin=split_origin or dataset.split_origin,
        queries=tuple(query for query in dataset.queries if query.id in kept),
    )


def columns_of(dataset: Dataset) -> list[Column]:
    """Give the tasks of a data set as columns, to make a view of."""
    return [
        Column(task, dataset.labels[name], dataset.splits[name])
        for name, task in dataset.tasks.items()
    ]


def joined(parts: Sequence[Dataset], *, name: str, card: Card) -> Dataset:
    """Put data sets of the same tasks behind one another as one.

    Parameters
    ----------
    parts
        Data sets with equal tasks and ids that do not meet.
    name, card
        Of the whole.

    Raises
    ------
    DataError
        If the tasks differ, or two pictures have one id.
    """
    first = parts[0]
    for part in parts[1:]:
        if dict(part.tasks) != dict(first.tasks):
            raise DataError(
                f"{part.name} and {first.name} differ in their tasks or class names, so that they "
                "cannot be joined. Prepare both again with this cliplab."
            )
    ids = np.concatenate([part.ids for part in parts])
    if len(set(ids)) < len(ids):
        raise DataError(f"Pictures of {', '.join(part.name for part in parts)} share their ids.")
    lengths = [len(part) for part in parts]
    archives = {key: digest for part in parts for key, digest in part.archives.items()}
    return Dataset(
        name=name,
        tasks=first.tasks,
        ids=ids,
        labels={task: np.concatenate([p.labels[task] for p in parts]) for task in first.tasks},
        splits={task: np.concatenate([p.splits[task] for p in parts]) for task in first.tasks},
        digests=np.concatenate([part.digests for part in parts]),
        source=JoinedPictures(
            tuple(part.source for part in parts),
            np.concatenate([[0], np.cumsum(lengths[:-1], dtype=np.int64)]).astype(np.int64),
        ),
        card=card,
        split_origin=first.split_origin,
        archives=archives,
    )
