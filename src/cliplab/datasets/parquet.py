"""A data set read from the folder of Parquet that `cliplab prepare` wrote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cliplab.datasets.index import cached_digests
from cliplab.datasets.manifest import (
    CAPTION,
    FORMAT_VERSION,
    ID,
    IMAGE,
    MANIFEST,
    SPLIT,
    card_of,
    manifest_or_none,
    queries_of,
    tasks_of,
)
from cliplab.datasets.shards import FULL
from cliplab.datasets.tables import TableFile, TablePictures, stored_digests, table_file
from cliplab.nouns import UNLABELLED, Dataset
from cliplab.runtime.errors import DataError, FormatTooNew


def open_parquet(folder: Path, *, name: str, home: Path) -> Dataset:
    """Open a prepared data set; only labels and ids are read, pictures when they are asked for.

    Parameters
    ----------
    folder
        Where `cliplab.json` and `data/*.parquet` lie.
    name
        As the user calls the data set.
    home
        Folder of what is kept between runs; the pictures' digests are found there.

    Raises
    ------
    DataError
        If the preparation is not complete, or a shard is missing, damaged or of other columns;
        the message names the file and the way out.
    FormatTooNew
        If a newer cliplab wrote it.
    """
    manifest = manifest_or_none(folder)
    if manifest is None:
        raise DataError(
            f"{folder} has no readable {MANIFEST}, so it was not completely prepared. "
            f"Remove the folder and run `cliplab prepare {name}` again."
        )
    shards = manifest["shards"]
    origin = manifest.get("name", name)  # what to prepare again: the folder may be given by path
    files = tuple(_shard_file(folder / shard["file"], shard, origin) for shard in shards)
    tasks = tasks_of(manifest)
    tables = [_columns(file, shard, manifest) for file, shard in zip(files, shards, strict=True)]
    digests = cached_digests(
        home,
        folder,
        [shard["file"] for shard in shards],
        lambda path: stored_digests(table_file(path, _remedy(path, origin)), IMAGE),
        kind="parquet",
    )
    return Dataset(
        name=name,
        tasks=tasks,
        ids=_strings(tables, ID),
        labels={task: _labels(tables, task) for task in tasks},
        splits={task: _splits(tables, shards, task) for task in tasks},
        digests=np.array([d for shard in shards for d in digests[shard["file"]]], dtype=object),
        source=TablePictures(files, IMAGE),
        captions=_captions(tables) if manifest["captions"] else None,
        card=card_of(manifest),
        split_origin=manifest["split_origin"],
        location=folder,
        archives=manifest.get("archives", {}),
        queries=queries_of(manifest),
    )


def _remedy(path: Path, name: str) -> str:
    return f"Remove {path} and run `cliplab prepare {name}` again: only that file is made anew."


def _shard_file(path: Path, shard: dict[str, Any], name: str) -> TableFile:
    file = table_file(path, _remedy(path, name))
    check_version(file)
    if file.rows != shard["rows"]:
        raise DataError(f"{path} has {file.rows} rows, expected {shard['rows']}. {file.remedy}")
    return file


def check_version(file: TableFile) -> None:
    """Refuse a Parquet file that a newer cliplab wrote; one that others wrote passes."""
    import json

    try:
        ours = json.loads((file.schema.metadata or {}).get(b"cliplab", b"{}"))
        found = ours.get("format_version", 0)
    except (ValueError, AttributeError) as error:
        raise DataError(f"{file.path} has damaged metadata. {file.remedy}") from error
    if not isinstance(found, int) or found > FORMAT_VERSION:
        raise FormatTooNew(file.path, found, FORMAT_VERSION)


def _columns(file: TableFile, shard: dict[str, Any], manifest: dict[str, Any]) -> Any:
    import pyarrow.types as types

    tasks = [task["name"] for task in manifest["tasks"]]
    labelled = [task["name"] for task in manifest["tasks"] if task["class_names"]]
    expected = {IMAGE: types.is_struct, ID: types.is_string}
    expected |= dict.fromkeys(labelled, types.is_integer)
    if shard["split"] == FULL:
        expected |= dict.fromkeys((f"{SPLIT}{task}" for task in tasks), types.is_string)
    if manifest["captions"]:
        expected[CAPTION] = types.is_list
    for column, is_right in expected.items():
        if column not in file.schema.names:
            raise DataError(f"{file.path} has no column {column!r}. {file.remedy}")
        found = file.schema.field(column).type
        if not is_right(found):
            kind = is_right.__name__.removeprefix("is_")
            raise DataError(
                f"{file.path}: column {column!r} holds {found}, expected {kind}. {file.remedy}"
            )
    return file.read([column for column in expected if column != IMAGE])


def _strings(tables: Sequence[Any], column: str) -> np.ndarray:
    values = [value for table in tables for value in table.column(column).to_pylist()]
    return np.array(values, dtype=object)


def _labels(tables: Sequence[Any], task: str) -> np.ndarray:
    if task not in tables[0].column_names:  # pictures with captions alone
        return np.full(sum(table.num_rows for table in tables), UNLABELLED, dtype=np.int64)
    return np.concatenate([t.column(task).to_numpy() for t in tables]).astype(np.int64)


def _splits(tables: Sequence[Any], shards: Sequence[dict[str, Any]], task: str) -> np.ndarray:
    if shards[0]["split"] == FULL:
        return np.array([split or "" for split in _strings(tables, SPLIT + task)], dtype=object)
    found = [[shard["split"]] * shard["rows"] for shard in shards]
    return np.array([split for splits in found for split in splits], dtype=object)


def _captions(tables: Sequence[Any]) -> list[tuple[str, ...]]:
    return [tuple(texts) for table in tables for texts in table.column(CAPTION).to_pylist()]
