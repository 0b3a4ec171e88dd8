"""A part while it comes to be: vectors are copied or encoded into it, then it is whole.

n pictures of the part, B of a batch, D width of the joint space, F of the features before it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cliplab.embeddings.store import Part, SkippedPicture, read_part
from cliplab.nouns import Dataset, Encoder, ImageVectors
from cliplab.runtime.errors import CliplabError, DataError


class Draft:
    """Room for the vectors of a part's pictures, and for the reasons of the unreadable ones."""

    def __init__(self, dataset: Dataset, encoder: Encoder, rows: np.ndarray) -> None:
        self.dataset, self.encoder = dataset, encoder
        self.rows = rows  # (n,) int64, ascending rows of the data set
        self.embedding = np.zeros((len(rows), encoder.width), dtype=np.float32)  # (n, D)
        self.features: np.ndarray | None = None  # (n, F) float32
        if encoder.feature_width is not None:
            self.features = np.zeros((len(rows), encoder.feature_width), dtype=np.float32)
        self.read = np.zeros(len(rows), dtype=bool)  # (n,), whose vectors are here
        self.reasons: dict[int, str] = {}  # row → why it could not be read
        self.again: set[int] = set()  # rows of those that could not even be opened

    def left(self) -> np.ndarray:
        """Rows (m,) int64 that have neither vectors nor a reason yet, ascending."""
        known = self.read | np.isin(self.rows, list(self.reasons))
        return self.rows[~known]

    def copy(self, sources: np.ndarray, root: Path) -> None:
        """Take vectors and reasons by content from other files of the store.

        `sources` (n,) names a file below `root` for each picture, or None. What a file no longer
        has, or that cannot be read, is left to be encoded.
        """
        for name in sorted({source for source in sources if source is not None}):
            try:
                part = read_part(root / name)
            except (CliplabError, FileNotFoundError):
                continue
            place = {digest: i for i, digest in enumerate(part.digests)}
            reasons = {p.digest: p.reason for p in part.skipped if not p.again}
            here = np.flatnonzero((sources == name) & (self.dataset.digests[self.rows] != ""))
            digests = self.dataset.digests[self.rows[here]]
            for row, digest in zip(self.rows[here], digests, strict=True):
                if digest in reasons and digest not in place:
                    self.reasons[int(row)] = reasons[digest]
            held = np.array([digest in place for digest in digests], dtype=bool)
            taken = [place[digest] for digest in digests[held]]
            self._put(here[held], part.embedding[taken], _rows_of(part.features, taken))

    def put(self, rows: np.ndarray, vectors: ImageVectors) -> None:
        """Take the encoder's vectors (B, D), (B, F) of these rows (B,)."""
        embedding = vectors.embedding.detach().cpu().float().numpy()
        features = vectors.features
        before = None if features is None else features.detach().cpu().float().numpy()
        for matrix in (embedding, before):
            if matrix is not None and not (finite := np.isfinite(matrix).all(axis=1)).all():
                name = self.dataset.ids[rows[int(finite.argmin())]]
                raise DataError(
                    f"The encoder {self.encoder.name!r} gave numbers that are not finite for "
                    f"{name!r}. With --precision fp16 or bf16, use fp32; otherwise the weights "
                    "are damaged."
                )
        self._put(np.searchsorted(self.rows, rows), embedding, before)

    def skip(self, row: int, reason: str) -> None:
        """Note that a picture cannot be read; tried again by the next run if it has no bytes.

        A file that holds no picture never will under the same digest; one that cannot be opened
        (a drive unplugged, a right taken away) may be back the next time.
        """
        self.reasons[row] = reason
        try:
            for read in self.dataset.source.open([row]):
                read()
        except OSError:
            self.again.add(row)

    def finish(self) -> tuple[Part, np.ndarray]:
        """Give what the part's file is to hold, and the rows (m,) int64 that could be read."""
        kept = slice(None) if self.read.all() else self.read  # no copy where all were read
        rows = self.rows[kept]
        ids, digests = self.dataset.ids, self.dataset.digests
        skipped = tuple(
            SkippedPicture(ids[row], digests[row], self.reasons[row], row in self.again)
            for row in sorted(self.reasons)
        )
        content = Part(
            list(ids[rows]),
            list(digests[rows]),
            self.embedding[kept],
            None if self.features is None else self.features[kept],
            skipped,
        )
        return content, rows

    def _put(self, at: np.ndarray, embedding: np.ndarray, features: np.ndarray | None) -> None:
        self.embedding[at] = embedding
        if self.features is not None:
            self.features[at] = features
        self.read[at] = True


def _rows_of(matrix: np.ndarray | None, rows: list[int]) -> np.ndarray | None:
    return None if matrix is None else matrix[rows]
