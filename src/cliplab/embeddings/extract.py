"""Pictures → vectors, part by part, each picture encoded once in the life of the store.

N pictures, D width of the joint space, F width of the features before the projection, n pictures of
a part, B batch. What is computed is fixed by the plan (`plan`): a part's pictures that are not
copied are cut into batches in their order, so that the vectors do not depend on where a run was
killed. How reading, encoding and writing overlap is told in `filling`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from cliplab.embeddings.filling import Filler, Skips
from cliplab.embeddings.plan import Plan
from cliplab.embeddings.store import Part, SkippedPicture, store_for
from cliplab.embeddings.tables import DamagedFile
from cliplab.nouns import Dataset, Embeddings, Encoder, Skipped
from cliplab.runtime.errors import DataError, Faults, UsageError
from cliplab.runtime.progress import progress, say
from cliplab.runtime.storage import locked, sweep_parts


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractConfig:
    """How pictures are read and encoded."""

    batch_size: int = 64  # pictures encoded at once; changes the last digits of the vectors
    workers: int | None = None  # threads that read and decode; None: the loader's choice
    on_bad: str = "list"  # unreadable pictures are listed; "fail": the first ends the run
    max_pixels: int | None = None  # larger pictures count as unreadable; None: the stated limit

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UsageError(f"--batch-size {self.batch_size}: give 1 or more.")
        if self.max_pixels is not None and self.max_pixels < 1:
            raise UsageError(f"--max-pixels {self.max_pixels}: give 1 or more.")
        if self.on_bad not in ("list", "fail"):
            raise UsageError(f"--on-bad {self.on_bad}: give list or fail.")


class ExtractStats(NamedTuple):
    """What an extraction did, over the parts that hold the pictures asked for."""

    n_encoded: int  # pictures encoded now
    n_cached: int  # pictures whose vectors were at hand
    n_skipped: int  # pictures that could not be read
    seconds: float  # wall-clock time of it all
    seconds_encoder: float  # of it, in the encoder
    folder: Path  # where the vectors lie


class Extracted(NamedTuple):
    """Vectors, and what it took to get them."""

    embeddings: Embeddings
    stats: ExtractStats


def embed(
    dataset: Dataset,
    encoder: Encoder,
    *,
    task: str,
    rows: np.ndarray | None = None,
    config: ExtractConfig | None = None,
    home: Path,
) -> Extracted:
    """Vectors of labelled pictures: from the store as far as they are there, encoded otherwise.

    Parameters
    ----------
    dataset, encoder
        What is read, and what reads it.
    task
        Whose labels and class names the result carries.
    rows
        (n,) int64 distinct rows of the data set, in the order wanted. Default: all that the task
        labels.
    config
        Batch size, threads, what to do with unreadable pictures. Default: `ExtractConfig()`.
    home
        Folder of what is kept between runs (`runtime.storage.home`).

    Returns
    -------
    Extracted
        Embeddings in the order of `rows` without the unreadable pictures, which stand in
        `skipped`; and what was done.

    Raises
    ------
    DataError
        No pictures asked for, none of them readable, or, with `on_bad="fail"`, one that is not.
    StorageError
        The disk is full or not ours to write; the parts that were finished are kept.
    FormatTooNew
        The store was written by a newer cliplab.
    """
    wanted = dataset.rows(task) if rows is None else np.asarray(rows, dtype=np.int64)
    extraction = _Extraction(dataset, encoder, wanted, config or ExtractConfig(), home)
    plan = extraction.fill()
    embeddings = extraction.load(plan, task)
    return Extracted(embeddings, extraction.stats(plan))


def fill(
    dataset: Dataset,
    encoder: Encoder,
    *,
    rows: np.ndarray | None = None,
    config: ExtractConfig | None = None,
    home: Path,
) -> ExtractStats:
    """Put the vectors of pictures into the store without loading them.

    The memory it takes does not grow with the number of pictures, but for the data set's own
    columns. `rows` (n,) default to all pictures, labelled or not. The rest is as for `embed`.
    """
    wanted = np.arange(len(dataset)) if rows is None else np.asarray(rows, dtype=np.int64)
    extraction = _Extraction(dataset, encoder, wanted, config or ExtractConfig(), home)
    return extraction.stats(extraction.fill())


class _Extraction:
    """One request on its way: the parts that it needs, and what was done for it so far."""

    def __init__(
        self,
        dataset: Dataset,
        encoder: Encoder,
        rows: np.ndarray,
        config: ExtractConfig,
        home: Path,
    ) -> None:
        from cliplab.pictures.decode import MAX_PIXELS

        if not len(rows):
            raise DataError(f"No pictures of {dataset.name!r} to encode: the selection is empty.")
        self.started = time.perf_counter()
        self.dataset, self.encoder, self.rows, self.config = dataset, encoder, rows, config
        limit = config.max_pixels or MAX_PIXELS
        self.store = store_for(dataset, encoder, config.batch_size, limit, home)
        self.wanted = np.zeros(len(dataset), dtype=bool)  # (N,)
        self.wanted[rows] = True
        if self.wanted.sum() != len(rows):
            raise UsageError("Some rows were asked for twice; give each row once.")
        self.whole: dict[int, tuple[SkippedPicture, ...]] = {}  # parts that are there: unreadable
        self.again: set[int] = set()  # parts with pictures that could not be opened the last time
        self.filler = Filler(self.store, config.batch_size, config.workers, self._refuse_rows)

    def fill(self) -> Plan:
        """Make the parts that the request needs and that are not there."""
        plan = self.store.plan()
        if plan is None or self._missing(plan):
            with self._lock():
                sweep_parts(self.store.folder)
                plan = self.store.plan() or self.store.make_plan()
                self._make(self._missing(plan), plan)
        unreadable = self._unreadable(plan)
        self._refuse(unreadable)
        if len(unreadable) == len(self.rows):
            _raise_listing(f"None of the {len(self.rows)} pictures can be read:", unreadable)
        return plan

    def load(self, plan: Plan, task: str) -> Embeddings:
        """Read the vectors asked for out of the parts."""
        n, feature_width = len(self.rows), self.encoder.feature_width
        place = np.zeros(len(self.dataset), dtype=np.int64)  # (N,) row → place in the result
        place[self.rows] = np.arange(n)
        vectors = np.empty((n, self.encoder.width), dtype=np.float32)
        features = None if feature_width is None else np.empty((n, feature_width), dtype=np.float32)
        read = np.zeros(n, dtype=bool)
        for part in plan.parts_with(self.rows):
            content, rows = self._read(part, plan)
            asked = self.wanted[rows]
            at = place[rows[asked]]
            vectors[at] = content.embedding[asked]
            if features is not None and content.features is not None:
                features[at] = content.features[asked]
            read[at] = True
        kept = slice(None) if read.all() else read  # no second copy where all were read
        rows = self.rows[kept]
        return Embeddings(
            ids=self.dataset.ids[rows],
            vectors=vectors[kept],
            features=None if features is None else features[kept],
            labels=np.asarray(self.dataset.labels[task][rows], dtype=np.int64),
            class_names=self.dataset.task(task).class_names,
            identity=self.encoder.identity,
            skipped=self._unreadable(plan),
        )

    def stats(self, plan: Plan) -> ExtractStats:
        """Count what was done."""
        n_pictures = sum(plan.size(part) for part in self.whole)
        n_skipped = sum(map(len, self.whole.values()))
        return ExtractStats(
            n_encoded=self.filler.n_encoded,
            n_cached=n_pictures - n_skipped - self.filler.n_encoded,
            n_skipped=n_skipped,
            seconds=time.perf_counter() - self.started,
            seconds_encoder=self.filler.seconds_encoder,
            folder=self.store.folder,
        )

    def _missing(self, plan: Plan) -> list[int]:
        """Parts that the request needs and that are not there, not whole, or to be tried again."""
        needed = plan.parts_with(self.rows)
        for part in needed:
            if part in self.whole or (skipped := self.store.head(part, plan)) is None:
                continue
            if any(picture.again for picture in skipped):
                self.again.add(part)
            else:
                self.whole[part] = skipped
        return [part for part in needed if part not in self.whole]

    def _make(self, parts: Sequence[int], plan: Plan) -> None:
        done = sum(plan.size(part) for part in self.whole if part not in parts)
        left = sum(plan.size(part) for part in parts)
        with progress("embedding", done + left, done=done) as advance:
            self.whole |= self.filler.make(parts, plan, self.again, advance)

    def _read(self, part: int, plan: Plan) -> tuple[Part, np.ndarray]:
        """Content of a part and the rows (m,) int64 of its vectors; made again if damaged."""
        try:
            return self.store.read(part, plan)
        except (DamagedFile, FileNotFoundError) as error:
            say(str(error))
            with self._lock():
                self._make([part], plan)
            return self.store.read(part, plan)

    def _lock(self) -> AbstractContextManager[None]:
        folder = self.store.folder
        return locked(folder, lambda: say(f"Waiting for another cliplab that fills {folder}"))

    def _unreadable(self, plan: Plan) -> tuple[Skipped, ...]:
        """Pictures asked for that cannot be read, in the order of the parts."""
        found = []
        for part, skipped in sorted(self.whole.items()):
            rows = plan.rows[plan.members(part)]
            asked = set(self.dataset.ids[rows[self.wanted[rows]]]) if skipped else set()
            found += [Skipped(s.id, s.reason) for s in skipped if s.id in asked]
        return tuple(found)

    def _refuse_rows(self, skipped: Skips) -> None:
        ids = self.dataset.ids
        self._refuse([Skipped(ids[row], why) for row, why in skipped if self.wanted[row]])

    def _refuse(self, unreadable: Sequence[Skipped]) -> None:
        if unreadable and self.config.on_bad == "fail":
            _raise_listing(
                "Pictures that cannot be read (with --on-bad list they are listed and left out):",
                unreadable,
            )


def _raise_listing(heading: str, unreadable: Sequence[Skipped]) -> NoReturn:
    faults = Faults()
    for picture in unreadable:
        faults.add(f"{picture.id}: {picture.reason}")
    faults.raise_any(heading)
    raise AssertionError("there is something to list")
