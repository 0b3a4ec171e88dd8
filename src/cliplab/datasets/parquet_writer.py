"""A data set becomes a folder of Parquet in Hugging Face's layout, whole or not at all.

The work is done beside the folder (`.NAME.part`) and appears by one rename when the last file is
there, so that a folder that carries `cliplab.json` is complete. Killed and started again, it goes
on at the shard after the last whole one and ends in the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

import numpy as np

from cliplab.datasets.card import SplitSize, card_text, yaml_features
from cliplab.datasets.manifest import (
    CAPTION,
    FORMAT_VERSION,
    ID,
    IMAGE,
    MANIFEST,
    SPLIT,
    identity_of,
    is_whole,
    manifest_json,
    manifest_or_none,
)
from cliplab.datasets.shards import (
    Bounds,
    Plan,
    Shard,
    is_split_by_task,
    picture_sizes,
    plan_shards,
    replan,
)
from cliplab.datasets.tables import stored_digests, table_file
from cliplab.nouns import Dataset
from cliplab.runtime.errors import DataError
from cliplab.runtime.progress import say
from cliplab.runtime.storage import (
    atomic_write,
    locked,
    make_folder,
    read_json,
    storage_faults,
    sweep_parts,
    write_bytes,
    write_json,
)

PLAN, CARD = "plan.json", "README.md"
ROW_GROUP = 100  # pictures, as Hugging Face's own tools write them
ROW_GROUP_SIZE = 128_000_000  # bytes of pictures: closes a row group early, to bound memory


def write_parquet(
    dataset: Dataset,
    folder: Path,
    *,
    bounds: Bounds | None = None,
    sizes: np.ndarray | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Path:
    """Write a data set as Parquet shards with a card and a manifest; give the folder back.

    Nothing is done if the folder holds this data set already. Encoded bytes are kept as they are.

    Parameters
    ----------
    dataset
        What to write. A digest that is "" is taken as not known before; others are checked.
    folder
        Where it appears, whole. It may be new, empty, or an earlier preparation, which is
        replaced once the new one is complete.
    bounds
        How large a shard may become; 10,000 pictures or 500 MB by default.
    sizes
        (N,) int64, bytes of each picture, where they are known; found out otherwise.
    on_progress
        Told how many more pictures are written.

    Raises
    ------
    DataError
        If the folder holds something else, or a picture is not what it was when it was indexed.
    StorageError
        If the disk is full or read-only; what was finished is kept, and what was there is intact.
    """
    _refuse_reserved_names(dataset)
    waiting = f"Another process is preparing {folder}; waiting for it."
    with locked(folder, lambda: say(waiting)), storage_faults(folder):
        bounds = bounds or Bounds()
        identity = identity_of(dataset, bounds)
        if is_whole(folder, identity):
            return folder
        _refuse_foreign(folder)
        workshop = folder.with_name(f".{folder.name}.part")
        if not is_whole(workshop, identity):
            plan = _begin(dataset, folder, workshop, identity, bounds, sizes)
            _fill(dataset, workshop, plan, identity, on_progress or (lambda _count: None))
        _swap(workshop, folder)
    return folder


def _refuse_reserved_names(dataset: Dataset) -> None:
    for task in dataset.tasks:
        if task in (IMAGE, ID, CAPTION) or task.startswith(SPLIT):
            raise DataError(
                f"{dataset.name}: a task cannot be called {task!r}, which is the name of another "
                "column of the prepared data set; rename the label column."
            )


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and not (folder / MANIFEST).exists():
        if folder.is_dir() and not any(folder.iterdir()):
            return
        raise DataError(
            f"{folder} holds something that cliplab did not write, and is left as it is. "
            "Name a new or empty folder, or move that away."
        )


def _begin(
    dataset: Dataset,
    folder: Path,
    workshop: Path,
    identity: str,
    bounds: Bounds,
    sizes: np.ndarray | None,
) -> Plan:
    """Give the plan to follow; it lies in the workshop, where earlier work of it is kept."""
    earlier = manifest_or_none(folder)
    if earlier and earlier["identity"] == identity and not workshop.exists():
        folder.rename(workshop)  # a shard is missing: only that one is made again
    plan = _earlier_plan(dataset, workshop / PLAN, identity)
    if plan is None:
        if workshop.exists():
            shutil.rmtree(workshop)
        plan = plan_shards(dataset, picture_sizes(dataset) if sizes is None else sizes, bounds)
        value = {"format_version": FORMAT_VERSION, "identity": identity, "shards": plan.as_json()}
        write_json(workshop / PLAN, value)
    (workshop / MANIFEST).unlink(missing_ok=True)
    return plan


def _earlier_plan(dataset: Dataset, path: Path, identity: str) -> Plan | None:
    try:
        found = read_json(path, FORMAT_VERSION)
    except (FileNotFoundError, DataError):
        return None
    return replan(dataset, found["shards"]) if found.get("identity") == identity else None


def _fill(
    dataset: Dataset, workshop: Path, plan: Plan, identity: str, advance: Callable[[int], None]
) -> None:
    """Write the shards that are missing, then the card, then the manifest."""
    make_folder(workshop / "data")
    sweep_parts(workshop)
    sweep_parts(workshop / "data")
    missing = [shard for shard in plan.shards if not (workshop / shard.file).exists()]
    rows = [row for shard in missing for row in shard.rows.tolist()]
    pictures = dataset.source.open(rows)
    schema = _schema(dataset)
    digests: list[str] = []
    for shard in plan.shards:
        path = workshop / shard.file
        if path.exists():
            digests += _digests_of_shard(dataset, shard, path)
        else:
            digests += _write_shard(dataset, shard, path, pictures, schema, advance)
    shards = [_shard_json(workshop, shard) for shard in plan.shards]
    write_bytes(workshop / CARD, _card(dataset, shards).encode())
    value = manifest_json(dataset, plan.order, digests, shards, identity)
    write_json(workshop / MANIFEST, value)


def _swap(workshop: Path, folder: Path) -> None:
    """Put the finished folder in its place; an older one goes only then."""
    old = folder.with_name(f".{folder.name}.old")
    with suppress(FileNotFoundError):
        shutil.rmtree(old)
    if folder.exists():
        folder.rename(old)
    workshop.rename(folder)
    with suppress(FileNotFoundError):
        shutil.rmtree(old)


def _digests_of_shard(dataset: Dataset, shard: Shard, path: Path) -> list[str]:
    known = [str(digest) for digest in dataset.digests[shard.rows]]
    if all(known):
        return known
    return stored_digests(table_file(path, f"Remove {path} and prepare again."), IMAGE)


def _write_shard(
    dataset: Dataset,
    shard: Shard,
    path: Path,
    pictures: Iterator[Callable[[], bytes]],
    schema: Any,
    advance: Callable[[int], None],
) -> list[str]:
    """Write one shard, a row group at a time; give the digests of its pictures."""
    digests: list[str] = []
    with atomic_write(path) as stream, _parquet(stream, schema) as writer:
        for group in _row_groups(dataset, shard.rows, pictures):
            writer.write_table(_table(dataset, group, schema), row_group_size=ROW_GROUP)
            digests += group.digests
            advance(len(group.rows))
    return digests


class _Group(NamedTuple):
    """The pictures of one row group."""

    rows: list[int]
    contents: list[bytes | None]  # None: the picture cannot be read
    digests: list[str]


def _row_groups(
    dataset: Dataset, rows: np.ndarray, pictures: Iterator[Callable[[], bytes]]
) -> Iterator[_Group]:
    group, weight = _Group([], [], []), 0
    for row in rows.tolist():
        content, digest = _read(dataset, row, next(pictures))
        size = len(content or b"")
        if group.rows and (len(group.rows) == ROW_GROUP or weight + size > ROW_GROUP_SIZE):
            yield group
            group, weight = _Group([], [], []), 0
        group.rows.append(row)
        group.contents.append(content)
        group.digests.append(digest)
        weight += size
    if group.rows:
        yield group


def _read(dataset: Dataset, row: int, picture: Callable[[], bytes]) -> tuple[bytes | None, str]:
    """Bytes and digest of a picture; (None, "") where it could not be read when indexed either."""
    known = str(dataset.digests[row])
    try:
        content = picture()
    except OSError as error:
        if not known:
            return None, ""
        raise DataError(
            f"{dataset.ids[row]} of {dataset.name} can no longer be read ({error}). "
            "Put it back, or remove it from the data set, and prepare again."
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if known and digest != known:
        raise DataError(
            f"{dataset.ids[row]} of {dataset.name} changed while it was being prepared. "
            "Run the same command again."
        )
    return content, digest


@contextmanager
def _parquet(stream: IO[bytes], schema: Any) -> Iterator[Any]:
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


def _schema(dataset: Dataset) -> Any:
    """Arrow schema with the metadata from which `datasets` restores features, and our version."""
    from datasets import ClassLabel, Features, Image, List, Value

    columns: dict[str, Any] = {IMAGE: Image(), ID: Value("string")}
    for name, task in dataset.tasks.items():
        columns[name] = ClassLabel(names=list(task.class_names))
    columns |= {name: Value("string") for name in _split_columns(dataset)}
    if dataset.captions is not None:
        columns[CAPTION] = List(Value("string"))
    schema = Features(columns).arrow_schema
    ours = {"cliplab": json.dumps({"format_version": FORMAT_VERSION})}
    return schema.with_metadata({**schema.metadata, **ours})


def _split_columns(dataset: Dataset) -> list[str]:
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
    for task in dataset.tasks:
        columns[task] = dataset.labels[task][group.rows]
    for name in _split_columns(dataset):
        splits = dataset.splits[name.removeprefix(SPLIT)][group.rows]
        columns[name] = [split or None for split in splits]
    if dataset.captions is not None:
        columns[CAPTION] = [list(dataset.captions[row]) for row in group.rows]
    arrays = [pa.array(columns[field.name], type=field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _shard_json(workshop: Path, shard: Shard) -> dict[str, Any]:
    path = workshop / shard.file
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    size = path.stat().st_size
    return {
        "file": shard.file,
        "split": shard.split,
        "rows": len(shard.rows),
        "size": size,
        "sha256": sha256,
    }


def _card(dataset: Dataset, shards: Sequence[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(shard["split"] for shard in shards))
    splits = []
    for name in names:
        of_split = [shard for shard in shards if shard["split"] == name]
        splits.append(
            SplitSize(name, sum(s["rows"] for s in of_split), sum(s["size"] for s in of_split))
        )
    tasks = {name: task.class_names for name, task in dataset.tasks.items()}
    features = yaml_features(tasks, _split_columns(dataset), dataset.captions is not None)
    return card_text(dataset, features, splits)
