"""Which picture lies in which part, and which vectors are copied rather than made: decided first.

N pictures. The layout is a function of the data set alone; the sources depend on what else was in
the store when the plan was made, and are therefore written down, so that a run that was killed
goes on with the same decisions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cliplab.embeddings.tables import DamagedFile, read_table, write_table
from cliplab.nouns import Dataset

FORMAT_VERSION = 1
PART = 2048  # pictures in a part at most


@dataclass(frozen=True, slots=True)
class Plan:
    """All pictures of a data set, in the order of the parts that hold their vectors."""

    rows: np.ndarray  # (N,) int64, rows of the data set
    parts: np.ndarray  # (N,) int64, number of the part, ascending
    sources: np.ndarray  # (N,) str objects: file to copy from, below the store; None: encode

    @property
    def n_parts(self) -> int:
        """How many parts there are."""
        return int(self.parts[-1]) + 1 if len(self.parts) else 0

    def members(self, part: int) -> slice:
        """Where a part's pictures stand in the plan."""
        first, end = np.searchsorted(self.parts, [part, part + 1])
        return slice(int(first), int(end))

    def size(self, part: int) -> int:
        """How many pictures a part holds."""
        return len(self.rows[self.members(part)])

    def parts_with(self, rows: np.ndarray) -> list[int]:
        """Numbers of the parts that hold any of these rows (n,) of the data set, ascending."""
        wanted = np.zeros(len(self.rows), dtype=bool)
        wanted[rows] = True
        return [int(part) for part in np.unique(self.parts[wanted[self.rows]])]


def lay_out(dataset: Dataset, part_size: int | None = None) -> Plan:
    """Plan with nothing to copy: groups by split, in the data set's order, cut into parts.

    Pictures that are in the same split for every task form a group, and no part crosses groups,
    so that a request for the test pictures encodes no others.
    """
    group = np.zeros(len(dataset), dtype=np.int64)
    for split in dataset.splits.values():
        names, code = np.unique(split, return_inverse=True)
        group = group * len(names) + code
    part_size = part_size or PART
    rows = np.argsort(group, kind="stable")
    sizes = np.unique(group, return_counts=True)[1]
    parts = np.empty(len(dataset), dtype=np.int64)
    start = first_part = 0
    for size in sizes:
        parts[start : start + size] = first_part + np.arange(size) // part_size
        start, first_part = start + size, first_part + -(-size // part_size)
    return Plan(rows, parts, np.full(len(dataset), None, dtype=object))


def with_sources(plan: Plan, dataset: Dataset, files: Iterator[tuple[str, Sequence[str]]]) -> Plan:
    """Plan that copies what other files of the store hold: (name, picture digests) of each.

    The first file that holds a digest serves it. A picture without a digest is never copied.
    """
    digests = dataset.digests[plan.rows]
    wanted = set(digests) - {""}
    source: dict[str, str] = {}
    for name, held in files:
        for digest in wanted.intersection(held):
            source.setdefault(digest, name)
    sources = np.array([source.get(digest) for digest in digests], dtype=object)
    return Plan(plan.rows, plan.parts, sources)


def write_plan(path: Path, plan: Plan, dataset: Dataset) -> None:
    """Write a plan as Parquet: row, id, part, source."""
    import pyarrow as pa

    columns = {
        "row": plan.rows,
        "id": pa.array(dataset.ids[plan.rows], pa.string()),
        "part": plan.parts,
        "source": pa.array(plan.sources, pa.string()),
    }
    write_table(path, columns, FORMAT_VERSION, repeating=("part", "source"))


def read_plan(path: Path, dataset: Dataset) -> Plan:
    """Read back what `write_plan` wrote for this data set.

    Raises
    ------
    FileNotFoundError
        There is none yet.
    DamagedFile
        It is not a plan of this data set.
    FormatTooNew
        A newer cliplab wrote it.
    """
    table = read_table(path, FORMAT_VERSION, ("row", "part", "source"))
    expected = lay_out(dataset)
    rows, parts = (table.column(name).to_numpy() for name in ("row", "part"))
    if not (np.array_equal(rows, expected.rows) and np.array_equal(parts, expected.parts)):
        raise DamagedFile(path, "it is the plan of other pictures")
    return Plan(rows, parts, np.array(table.column("source").to_pylist(), dtype=object))
