"""Parts made one after the other, with reading, encoding and writing going on at the same time.

While the encoder is at work on a part, the loader's threads read ahead in it, the first batches of
the next part are being read, and the part before is being written. At most three parts' vectors are
in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from cliplab.embeddings.drafts import Draft
from cliplab.embeddings.plan import Plan
from cliplab.embeddings.store import SkippedPicture, Store
from cliplab.nouns import ImageVectors
from cliplab.runtime.progress import Advance

if TYPE_CHECKING:
    import torch

    from cliplab.pictures.loader import PictureBatch

Skips = Sequence[tuple[int, str]]
"""Rows of the data set that could not be read, and why."""


class Filler:
    """Makes parts of a store; counts what it encoded and how long the encoder took."""

    def __init__(
        self,
        store: Store,
        batch_size: int,
        workers: int | None,
        refuse: Callable[[Skips], None],
    ) -> None:
        self.store, self.batch_size, self.workers = store, batch_size, workers
        self.refuse = refuse  # told of unreadable pictures as they are met; may raise
        self.n_encoded = 0
        self.seconds_encoder = 0.0

    def make(
        self, parts: Sequence[int], plan: Plan, again: Collection[int], advance: Advance
    ) -> dict[int, tuple[SkippedPicture, ...]]:
        """Make parts and write them; gives the unreadable pictures of each.

        Of a part in `again`, what its file holds is kept and only the pictures that could not be
        opened are tried again.
        """
        skipped = {}
        writing: Future[None] | None = None
        with (
            ThreadPoolExecutor(2) as pool,
            closing(self._begun(parts, plan, again, pool)) as upcoming,
        ):
            for part, draft, begun in upcoming:
                with closing(begun):
                    self._encode_all(draft, begun, advance)
                content, rows = draft.finish()
                if writing:
                    writing.result()
                writing = pool.submit(self.store.write, part, plan, content, rows)
                skipped[part] = content.skipped
            if writing:
                writing.result()
        return skipped

    def _begun(
        self, parts: Sequence[int], plan: Plan, again: Collection[int], pool: Executor
    ) -> Generator[tuple[int, Draft, Begun], None, None]:
        """Yield each part with its batches, when the next part's reading has begun."""
        upcoming: tuple[int, Draft, Begun] | None = None
        try:
            for part in parts:
                current, upcoming = upcoming, self._begin(part, plan, part in again, pool)
                if current:
                    yield current
            if upcoming:
                current, upcoming = upcoming, None
                yield current
        finally:
            if upcoming:
                upcoming[2].close()

    def _begin(
        self, part: int, plan: Plan, again: bool, pool: Executor
    ) -> tuple[int, Draft, Begun]:
        from cliplab.pictures.loader import batches

        members = plan.members(part)
        draft = Draft(self.store.dataset, self.store.encoder, plan.rows[members])
        sources = plan.sources[members]
        if again:
            own = f"{self.store.folder.name}/{self.store.path(part, plan).name}"
            sources = np.full(len(sources), own, dtype=object)
        draft.copy(sources, self.store.root)
        stream = batches(
            self.store.dataset.source,
            draft.left(),
            self.store.encoder.preprocess,
            batch_size=self.batch_size,
            workers=self.workers,
            max_pixels=self.store.max_pixels,
        )
        return part, draft, Begun(stream, pool)

    def _encode_all(self, draft: Draft, stream: Begun, advance: Advance) -> None:
        advance(len(draft.rows) - len(draft.left()))
        for batch in stream:
            for row, reason in batch.skipped:
                draft.skip(row, reason)
            self.refuse(batch.skipped)
            if len(batch.rows):
                draft.put(batch.rows, self._encode(batch.pixels))
            advance(len(batch.rows) + len(batch.skipped))

    def _encode(self, pixels: torch.Tensor) -> ImageVectors:
        started = time.perf_counter()
        vectors = self.store.encoder.encode_pixels(pixels)
        self.seconds_encoder += time.perf_counter() - started
        self.n_encoded += len(pixels)
        return vectors


class Begun:
    """A stream of batches whose first is fetched at once, in another thread."""

    def __init__(self, stream: Generator[PictureBatch, None, None], pool: Executor) -> None:
        self._stream = stream
        self._first: list[Future[PictureBatch | None]] = [pool.submit(next, stream, None)]

    def __iter__(self) -> Iterator[PictureBatch]:
        first = self._first.pop().result()  # popped, so that its pixels are not kept
        if first is not None:
            yield first
            del first
            yield from self._stream

    def close(self) -> None:
        """Stop the reading; a batch on its way is waited for."""
        wait(self._first)
        self._stream.close()
