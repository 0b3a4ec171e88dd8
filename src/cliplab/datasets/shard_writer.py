"""One shard of Parquet, a row group at a time, its bytes depending on its rows alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

import numpy as np

from cliplab.datasets.manifest import CAPTION, FORMAT_VERSION, ID, IMAGE, SPLIT
from cliplab.datasets.reading import Read
from cliplab.datasets.shards import Shard, is_split_by_task
from cliplab.nouns import Dataset, Skipped
from cliplab.runtime.errors import DataError
from cliplab.runtime.storage import atomic_write

ROW_GROUP = 100  # pictures, as Hugging Face's own tools write them
ROW_GROUP_SIZE = 128_000_000  # bytes of pictures: closes a row group early, to bound memory


class Written(NamedTuple):
    """What is known of a shard once it is written."""

    digests: list[str]  # of its pictures; "" where there is none
    unreadable: list[Skipped]
    sha256: str  # of the file


def write_shard(
    dataset: Dataset,
    shard: Shard,
    path: Path,
    pictures: Iterator[Read],
    *,
    before_rename: Callable[[list[Skipped]], None],
    advance: Callable[[int], None],
) -> Written:
    """Write one shard from the next of `pictures`.

    `before_rename` is told of the unreadable ones when all is written and the file is not yet in
    its place; what it raises leaves no file.
    """
    digests: list[str] = []
    unreadable: list[Skipped] = []
    schema = table_schema(dataset)
    with atomic_write(path) as stream:
        hashing = _Hashing(stream)
        with _parquet(hashing, schema) as writer:
            for group in _row_groups(dataset, shard.rows, pictures):
                writer.write_table(_table(dataset, group, schema), row_group_size=ROW_GROUP)
                digests += group.digests
                unreadable += group.unreadable
                advance(len(group.rows))
        before_rename(unreadable)
    return Written(digests, unreadable, hashing.sha.hexdigest())


class _Hashing:
    """A stream that hashes what is written to it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.sha = stream, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha.update(data)
        return self._stream.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Group(NamedTuple):
    """The pictures of one row group."""

    rows: list[int]
    contents: list[bytes | None]  # None: the picture cannot be read
    digests: list[str]
    unreadable: list[Skipped]


def _row_groups(dataset: Dataset, rows: np.ndarray, pictures: Iterator[Read]) -> Iterator[_Group]:
    group, weight = _Group([], [], [], []), 0
    for row in rows.tolist():
        read = next(pictures)
        _check_known(dataset, row, read)
        size = len(read.content or b"")
        if group.rows and (len(group.rows) == ROW_GROUP or weight + size > ROW_GROUP_SIZE):
            yield group
            group, weight = _Group([], [], [], []), 0
        group.rows.append(row)
        group.contents.append(read.content)
        group.digests.append(read.digest)
        if read.reason is not None:
            group.unreadable.append(Skipped(str(dataset.ids[row]), read.reason))
        weight += size
    if group.rows:
        yield group


def _check_known(dataset: Dataset, row: int, read: Read) -> None:
    """Hold a picture to the digest that was found when it was indexed, where one was."""
    known = str(dataset.digests[row])
    if known and read.content is None:
        raise DataError(
            f"{dataset.ids[row]} of {dataset.name} can no longer be read ({read.reason}). "
            "Put it back, or remove it from the data set, and prepare again."
        )
    if known and read.digest != known:
        raise DataError(
            f"{dataset.ids[row]} of {dataset.name} changed while it was being prepared. "
            "Run the same command again."
        )


@contextmanager
def _parquet(stream: Any, schema: Any) -> Iterator[Any]:
    """Open a Parquet writer whose settings are fixed, so that equal rows give equal bytes.

    Pictures are compressed already, so they are stored as they are, without dictionary or
    statistics; the small columns take Snappy, which every reader has. Pages carry checksums.
    """
    import pyarrow.parquet as pq

    small = [name for name in schema.names if name != IMAGE]
    pictures = [f"{IMAGE}.bytes", f"{IMAGE}.path"]
    leaves = [name if name != CAPTION else f"{CAPTION}.list.element" for name in small]
    writer = pq.ParquetWriter(
        stream,
        schema,
        version="2.6",
        compression=dict.fromkeys(leaves, "snappy") | dict.fromkeys(pictures, "none"),
        use_dictionary=leaves,
        write_statistics=leaves,
        write_page_checksum=True,
    )
    try:
        yield writer
    except BaseException:
        with suppress(Exception):  # the first failure is the one to tell of
            writer.close()
        raise
    writer.close()


def table_schema(dataset: Dataset) -> Any:
    """Arrow schema with the metadata from which `datasets` restores features, and our version."""
    from datasets import ClassLabel, Features, Image, List, Value

    columns: dict[str, Any] = {IMAGE: Image(), ID: Value("string")}
    for name, task in dataset.tasks.items():
        if task.class_names:
            columns[name] = ClassLabel(names=list(task.class_names))
    columns |= {name: Value("string") for name in split_columns(dataset)}
    if dataset.captions is not None:
        columns[CAPTION] = List(Value("string"))
    schema = Features(columns).arrow_schema
    ours = {"cliplab": json.dumps({"format_version": FORMAT_VERSION})}
    return schema.with_metadata({**schema.metadata, **ours})


def split_columns(dataset: Dataset) -> list[str]:
    """Names of the columns that say a task's split; none where files stand for splits."""
    if not is_split_by_task(dataset):
        return []
    return [f"{SPLIT}{task}" for task in dataset.tasks]


def _table(dataset: Dataset, group: _Group, schema: Any) -> Any:
    import pyarrow as pa

    ids = [str(dataset.ids[row]) for row in group.rows]
    pictures = [
        None if content is None else {"bytes": content, "path": PurePosixPath(id_).name}
        for id_, content in zip(ids, group.contents, strict=True)
    ]
    columns: dict[str, Any] = {IMAGE: pictures, ID: ids}
    for name, task in dataset.tasks.items():
        if task.class_names:
            columns[name] = dataset.labels[name][group.rows]
    for name in split_columns(dataset):
        splits = dataset.splits[name.removeprefix(SPLIT)][group.rows]
        columns[name] = [split or None for split in splits]
    if dataset.captions is not None:
        columns[CAPTION] = [list(dataset.captions[row]) for row in group.rows]
    arrays = [pa.array(columns[field.name], type=field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)
