"""Where vectors lie: `HOME/embeddings/<settings>-<content>/`, Parquet that any tool reads.

    manifest.json                   what made the vectors, in words
    plan.parquet                    row, id, part, source of every picture (see `plan`)
    part-00000-of-00012.parquet     id, digest, one label column a task, embedding, features

`settings` digests all that changes a vector (the encoder's identity, the batch size, the format),
`content` what is to be read (the data set's content and the limit on a picture's size). Pictures
that could not be read are no rows of a part but stand in its metadata, `cliplab.skipped`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cliplab.embeddings.plan import Plan, lay_out, read_plan, with_sources, write_plan
from cliplab.embeddings.tables import (
    DamagedFile,
    read_footer,
    read_table,
    vector_column,
    vector_matrix,
    write_table,
)
from cliplab.nouns import Dataset, Encoder, digest_of
from cliplab.runtime.errors import CliplabError, FormatTooNew
from cliplab.runtime.machine import versions
from cliplab.runtime.progress import say
from cliplab.runtime.storage import read_json, write_json

FORMAT_VERSION = 1
SKIPPED = "cliplab.skipped"  # key of a part's metadata
VECTORS = ("embedding", "features")
_RESERVED = ("id", "digest", *VECTORS)


class SkippedPicture(NamedTuple):
    """A picture of a part that could not be read, and why."""

    id: str
    digest: str
    reason: str
    again: bool  # it could not even be opened, and the next run tries again


class Part(NamedTuple):
    """What a part file holds, n pictures that could be read and those that could not."""

    ids: list[str]  # n
    digests: list[str]  # n, hex SHA-256 of the encoded bytes
    embedding: np.ndarray  # (n, D) float32, raw
    features: np.ndarray | None  # (n, F) float32, raw; None: no such layer
    skipped: tuple[SkippedPicture, ...]


class Store(NamedTuple):
    """The folder of one data set's vectors by one encoder with one batch size."""

    folder: Path
    dataset: Dataset
    encoder: Encoder
    max_pixels: int

    @property
    def root(self) -> Path:
        """Folder of all stores."""
        return self.folder.parent

    def path(self, part: int, plan: Plan) -> Path:
        """File of a part."""
        return self.folder / f"part-{part:05d}-of-{plan.n_parts:05d}.parquet"

    def plan(self) -> Plan | None:
        """Read the plan of this store; None if it was not made yet, or is damaged."""
        try:
            plan = read_plan(self.folder / "plan.parquet", self.dataset)
            read_json(self.folder / "manifest.json", FORMAT_VERSION)
            return plan
        except FileNotFoundError:
            return None
        except FormatTooNew:
            raise
        except CliplabError as error:
            say(str(error))
            return None

    def make_plan(self) -> Plan:
        """Decide what lies where and what is copied, and write it down; hold the lock."""
        plan = with_sources(lay_out(self.dataset), self.dataset, self._others())
        write_json(self.folder / "manifest.json", self._manifest())
        write_plan(self.folder / "plan.parquet", plan, self.dataset)
        return plan

    def head(self, part: int, plan: Plan) -> tuple[SkippedPicture, ...] | None:
        """Skipped pictures of a part; None if it is not there, or not whole. Reads no vectors."""
        path = self.path(part, plan)
        try:
            n_rows, metadata = read_footer(path, FORMAT_VERSION)
            skipped = _skipped(path, metadata)
            if n_rows + len(skipped) != plan.size(part):
                raise DamagedFile(path, "it does not hold the pictures planned for it")
        except FileNotFoundError:
            return None
        except DamagedFile as error:
            say(str(error))
            return None
        return skipped

    def read(self, part: int, plan: Plan) -> tuple[Part, np.ndarray]:
        """Content of a part, and the rows (m,) int64 of the data set that its vectors belong to."""
        path, rows = self.path(part, plan), plan.rows[plan.members(part)]
        content = read_part(path)
        unread = {picture.id for picture in content.skipped}
        rows = rows[np.array([name not in unread for name in self.dataset.ids[rows]], dtype=bool)]
        if content.ids != list(self.dataset.ids[rows]):
            raise DamagedFile(path, "it does not hold the pictures planned for it")
        return content, rows

    def write(self, part: int, plan: Plan, content: Part, rows: np.ndarray) -> None:
        """Write a part; `rows` (n,) are the data set's rows of the pictures that were read."""
        import pyarrow as pa

        columns: dict[str, object] = {
            "id": pa.array(content.ids, pa.string()),
            "digest": pa.array(content.digests, pa.string()),
        }
        for task, labels in self.dataset.labels.items():
            columns[label_column(task)] = np.asarray(labels[rows], dtype=np.int64)
        columns["embedding"] = vector_column(content.embedding)
        if content.features is not None:
            columns["features"] = vector_column(content.features)
        skipped = json.dumps([p._asdict() for p in content.skipped], ensure_ascii=False)
        write_table(self.path(part, plan), columns, FORMAT_VERSION, {SKIPPED: skipped})

    def _manifest(self) -> dict[str, object]:
        return {
            "format_version": FORMAT_VERSION,
            "dataset": self.dataset.name,
            "content": self.dataset.content_digest(),
            "max_pixels": self.max_pixels,
            "class_names": {name: list(t.class_names) for name, t in self.dataset.tasks.items()},
            "encoder": dict(self.encoder.identity),
            "versions": versions(),
        }

    def _others(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Part files of the same settings, each with the digests of the pictures it knows."""
        settings = self.folder.name.partition("-")[0]
        for folder in sorted(self.root.glob(f"{settings}-*")):
            if folder == self.folder or not folder.is_dir():
                continue
            try:
                manifest = read_json(folder / "manifest.json", FORMAT_VERSION)
            except (CliplabError, OSError):
                continue
            same_limit = manifest.get("max_pixels") == self.max_pixels
            for path in sorted(folder.glob("part-*.parquet")):
                try:
                    table = read_table(path, FORMAT_VERSION, ("digest",))
                    held = table.column("digest").to_pylist()
                    if same_limit:  # under another one, a picture that was too large may be read
                        skipped = _skipped(path, table.schema.metadata)
                        held += [p.digest for p in skipped if not p.again]
                except (CliplabError, OSError):
                    continue
                yield f"{folder.name}/{path.name}", held


def store_for(
    dataset: Dataset, encoder: Encoder, batch_size: int, max_pixels: int, home: Path
) -> Store:
    """Store of a data set's vectors below `home`; nothing is created or read yet."""
    settings = {
        "encoder": dict(encoder.identity),
        "batch_size": batch_size,
        "format_version": FORMAT_VERSION,
    }
    content = [dataset.content_digest(), max_pixels]
    name = f"{digest_of(settings)[:16]}-{digest_of(content)[:16]}"
    return Store(home / "embeddings" / name, dataset, encoder, max_pixels)


def read_part(path: Path) -> Part:
    """Read the vectors of a part file, of this store or another."""
    table = read_table(path, FORMAT_VERSION)
    if missing := {"id", "digest", "embedding"} - set(table.column_names):
        raise DamagedFile(path, f"no column {', '.join(sorted(missing))}")
    features = vector_matrix(table.column("features")) if "features" in table.column_names else None
    return Part(
        table.column("id").to_pylist(),
        table.column("digest").to_pylist(),
        vector_matrix(table.column("embedding")),
        features,
        _skipped(path, table.schema.metadata),
    )


def label_column(task: str) -> str:
    """Name of a task's column in a part: the task's, unless another column has that name."""
    return f"label_{task}" if task in _RESERVED else task


def _skipped(path: Path, metadata: Mapping[bytes, bytes]) -> tuple[SkippedPicture, ...]:
    try:
        return tuple(SkippedPicture(**entry) for entry in json.loads(metadata[SKIPPED.encode()]))
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFile(path, f"no list of skipped pictures: {error}") from error
