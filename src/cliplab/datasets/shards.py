"""Which row of a data set lies in which shard: planned from sizes, before a picture is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from cliplab.nouns import TEST, TRAIN, VALIDATION, Dataset
from cliplab.runtime.errors import DataError, UsageError

FULL = "full"  # the one split of the files where tasks differ in split or coverage


@dataclass(frozen=True, slots=True)
class Bounds:
    """How large a shard may become; whichever bound is reached first closes it."""

    rows: int = 10_000  # pictures
    size: int = 500_000_000  # bytes of pictures; a single larger picture has a shard of its own

    def __post_init__(self) -> None:
        if self.rows < 1 or self.size < 1:
            raise UsageError(f"A shard holds at least one picture and one byte, not {self}.")


class Shard(NamedTuple):
    """One file of the prepared data set, and the rows of the source that it holds."""

    file: str  # "data/train-00000-of-00004.parquet", relative to the folder
    split: str  # train, validation, test, or full
    rows: np.ndarray  # (n,) int64, the source's rows in the order of the file


@dataclass(frozen=True, slots=True)
class Plan:
    """All shards in the order in which they are written and read."""

    shards: tuple[Shard, ...]

    @property
    def order(self) -> np.ndarray:
        """(N,) int64, the source's rows in the order of the prepared data set."""
        return np.concatenate([shard.rows for shard in self.shards])

    def as_json(self) -> list[dict[str, Any]]:
        """File, split and number of rows of each shard; `replan` is the inverse."""
        return [{"file": s.file, "split": s.split, "rows": len(s.rows)} for s in self.shards]


@runtime_checkable
class SizedSource(Protocol):
    """A `PictureSource` that knows how large its pictures are without reading them."""

    def sizes(self, rows: np.ndarray) -> np.ndarray:
        """(n,) int64, bytes of each of `rows`; 0 where a picture cannot be read."""
        ...


def picture_sizes(dataset: Dataset) -> np.ndarray:
    """Sizes (N,) int64 in bytes of the encoded pictures; 0 where one cannot be read.

    Asked of the source where it knows them (`SizedSource`), else each picture is read once.
    """
    rows = np.arange(len(dataset), dtype=np.int64)
    if isinstance(dataset.source, SizedSource):
        return np.asarray(dataset.source.sizes(rows), dtype=np.int64)
    sizes = np.zeros(len(rows), dtype=np.int64)
    for row, read in enumerate(dataset.source.open(rows.tolist())):
        try:
            sizes[row] = len(read())
        except OSError:
            continue
    return sizes


def is_split_by_task(dataset: Dataset) -> bool:
    """Whether tasks differ in split or coverage, so that no file can stand for one split."""
    splits = list(dataset.splits.values())
    return any((split != splits[0]).any() for split in splits) or bool((splits[0] == "").any())


def plan_shards(dataset: Dataset, sizes: np.ndarray, bounds: Bounds) -> Plan:
    """Put each row in a shard: split by split, in the data set's order, within `bounds`.

    Parameters
    ----------
    dataset
        What is to be written.
    sizes
        (N,) int64, bytes of each encoded picture.
    bounds
        How large a shard may become.

    Raises
    ------
    DataError
        If the data set is empty.
    """
    if not len(dataset):
        raise DataError(f"{dataset.name} has no pictures; there is nothing to prepare.")
    shards: list[Shard] = []
    for split, rows in _rows_by_split(dataset):
        pieces = _cut(rows, sizes, bounds)
        for number, piece in enumerate(pieces):
            file = f"data/{split}-{number:05d}-of-{len(pieces):05d}.parquet"
            shards.append(Shard(file, split, piece))
    return Plan(tuple(shards))


def replan(dataset: Dataset, written: list[dict[str, Any]]) -> Plan | None:
    """Give the plan that `Plan.as_json` told of; None if it cannot be one of this data set."""
    rows = dict(_rows_by_split(dataset))
    done = dict.fromkeys(rows, 0)
    shards = []
    for shard in written:
        split, count = shard["split"], shard["rows"]
        if split not in rows:
            return None
        shards.append(Shard(shard["file"], split, rows[split][done[split] : done[split] + count]))
        done[split] += count
    whole = all(done[split] == len(rows[split]) for split in rows)
    return Plan(tuple(shards)) if whole else None


def _rows_by_split(dataset: Dataset) -> list[tuple[str, np.ndarray]]:
    if is_split_by_task(dataset):
        return [(FULL, np.arange(len(dataset), dtype=np.int64))]
    of_row = next(iter(dataset.splits.values()))
    found = [(split, np.flatnonzero(of_row == split)) for split in (TRAIN, VALIDATION, TEST)]
    if sum(len(rows) for _, rows in found) != len(dataset):
        raise DataError(
            f"{dataset.name} has splits {sorted(set(of_row))}; known: train, validation, test."
        )
    return [(split, rows) for split, rows in found if len(rows)]


def _cut(rows: np.ndarray, sizes: np.ndarray, bounds: Bounds) -> list[np.ndarray]:
    pieces, start, weight = [], 0, 0
    for end, row in enumerate(rows):
        size = int(sizes[row])
        if end > start and (end - start >= bounds.rows or weight + size > bounds.size):
            pieces.append(rows[start:end])
            start, weight = end, 0
        weight += size
    return [*pieces, rows[start:]]
