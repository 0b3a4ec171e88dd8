"""What the columns of a Hugging Face table mean: picture, labels, ids, captions, splits."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from cliplab.datasets.index import cached_digests
from cliplab.datasets.splits import settled, split_named
from cliplab.datasets.tables import TableFile, TablePictures, inside, stored_digests, table_file
from cliplab.nouns import CAPTIONS_ALONE, UNLABELLED, Card, Dataset, Task
from cliplab.runtime.errors import DataError, UnknownName, UsageError

PICTURES = ("image", "img")  # preferred, and taken also where they hold plain bytes
CAPTIONS = ("caption", "captions", "text", "sentence", "sentences")


class Part(NamedTuple):
    """One split of the source, by the source's own name."""

    split: str
    files: tuple[TableFile, ...]


class Columns(NamedTuple):
    """Which column plays which part."""

    picture: str
    has_paths: bool  # the picture column is a struct with a field "path"
    labels: tuple[str, ...]  # the first is the default task
    id: str | None
    caption: str | None

    def needed(self) -> list[str]:
        """Give the columns to read at opening: all but the pictures' bytes."""
        found = [*self.labels, self.id, self.caption]
        paths = [f"{self.picture}.path"] if self.has_paths else []
        return [column for column in found if column] + paths


def dataset_of(
    parts: Sequence[Part],
    features: Mapping[str, Any],
    *,
    name: str,
    home: Path,
    folder: Path,
    label: str | None = None,
    card: Card | None = None,
    picture_folders: tuple[Path, ...] = (),
) -> Dataset:
    """Make a data set of table files, by the meaning of their columns.

    Every class-label column is a task; `label`, if given, comes first and may also be a column of
    strings, integers or booleans, whose sorted values are then the class names. A column `caption`,
    `text` or `sentence` gives captions; with the label "captions", where there is no such column,
    they are all there is (`nouns.CAPTIONS_ALONE`). Ids are those of a column `id`, else the
    pictures' paths, where they are unique; else `<split>/<row number>`.

    Splits called train, validation and test (or as usual: val, dev, …) are taken. Where there is
    no labelled test picture, validation stands in for test, as the field does; where there is
    neither, the project's fixed split is made.

    Parameters
    ----------
    parts
        Splits with their files, in the source's order.
    features
        Column → feature of Hugging Face `datasets`.
    name, home
        As the user calls the data set; the folder of what is kept between runs.
    folder
        Where the files lie.
    label
        The label column asked for.
    card
        Where the data come from.
    picture_folders
        Within which pictures that the tables give by path alone may lie; `folder` by default.

    Raises
    ------
    DataError
        If there is no picture column, or a file does not have the columns it should.
    UnknownName
        If there is no column `label`.
    UsageError
        If there is no class-label column and none was named.
    """
    files = tuple(file for part in parts for file in part.files)
    if not files:
        raise DataError(f"{name} has no table files; there is nothing to read.")
    columns = _columns(features, files[0].schema, name, label)
    for file in files:
        _check_file(file, columns)
    tables = [file.read(columns.needed()) for file in files]
    tasks, labels = {}, {}
    for column in columns.labels:
        names, values = _labels(tables, column, features[column], name)
        tasks[column], labels[column] = Task(column, names), values
    ids = _ids(parts, tables, columns)
    if not tasks:
        task = CAPTIONS_ALONE.name
        tasks[task], labels[task] = CAPTIONS_ALONE, np.full(len(ids), UNLABELLED, dtype=np.int64)
    divided = {
        task: labels[task] if tasks[task].class_names else labels[task] + 1 for task in tasks
    }
    splits, origin = _splits(parts, ids, divided)
    digests = _digests(files, columns, home, folder)
    picture_folders = picture_folders or (folder,)
    if columns.has_paths and not all(digests):
        digests = _digests_beside(digests, _paths(tables, columns), home, picture_folders)
    return Dataset(
        name=name,
        tasks=tasks,
        ids=ids,
        labels=labels,
        splits=splits,
        digests=digests,
        source=TablePictures(files, columns.picture, picture_folders),
        captions=_captions(tables, columns.caption),
        card=card or Card(),
        split_origin=origin,
        location=folder,
    )


def _columns(features: Mapping[str, Any], schema: Any, name: str, label: str | None) -> Columns:
    import pyarrow.types as types

    pictures = [column for column in features if _is_picture(column, features[column])]
    if not pictures:
        raise DataError(
            f"{name} has no picture column; found {', '.join(features)}. A picture column has the "
            "feature Image, is a struct of bytes and path, or is called image and holds bytes."
        )
    picture = next((column for column in PICTURES if column in pictures), pictures[0])
    has_paths = picture in schema.names and types.is_struct(schema.field(picture).type)
    classes = [c for c in features if type(features[c]).__name__ == "ClassLabel"]
    plain = [c for c in features if c not in classes and _is_plain(features[c])]
    captions = [c for c in features if c.lower() in CAPTIONS and c != label]
    caption = next((c for c in captions if _holds_text(features[c])), None)
    alone = caption is not None and label == CAPTIONS_ALONE.name and label not in classes + plain
    if label is not None and not alone:
        if label not in classes + plain:
            raise UnknownName("label column", label, classes + plain, hint=f"of {name}")
        classes = [label, *(c for c in classes if c != label)]
    if not classes and not alone:
        listing = ", ".join(plain) or "none that could be one"
        other = f" Without labels, its captions alone: {name}:{CAPTIONS_ALONE.name}."
        raise UsageError(
            f"{name} has no class-label column. Name the column that holds the labels, "
            f"{name}:COLUMN; columns: {listing}.{other if caption else ''}"
        )
    classes = [] if alone else classes
    id_ = "id" if "id" in plain and label != "id" else None
    return Columns(picture, has_paths, tuple(classes), id_, caption)


def _is_picture(column: str, feature: Any) -> bool:
    if isinstance(feature, Mapping):
        return set(feature) == {"bytes", "path"}
    if column in PICTURES and str(getattr(feature, "dtype", "")) in ("binary", "large_binary"):
        return True
    return type(feature).__name__ == "Image"


def _is_plain(feature: Any) -> bool:
    """Whether a column holds strings, integers or booleans, any of which can be a label."""
    dtype = str(getattr(feature, "dtype", ""))
    kinds = ("string", "large_string", "int", "uint", "bool")
    return type(feature).__name__ == "Value" and dtype.startswith(kinds)


def _holds_text(feature: Any) -> bool:
    feature = getattr(feature, "feature", feature)  # a list of texts
    if isinstance(feature, list) and feature:
        feature = feature[0]
    return str(getattr(feature, "dtype", "")) in ("string", "large_string")


def _check_file(file: TableFile, columns: Columns) -> None:
    import pyarrow.types as types

    needed = {column.partition(".")[0] for column in columns.needed()} | {columns.picture}
    missing = sorted(needed - set(file.schema.names))
    if missing:
        raise DataError(
            f"{file.path} has no column {', '.join(missing)}; it has "
            f"{', '.join(file.schema.names)}. {file.remedy}"
        )
    found = file.schema.field(columns.picture).type
    if types.is_struct(found):
        fields = {found.field(number).name for number in range(found.num_fields)}
        if {"bytes", "path"} <= fields:
            return
    if types.is_binary(found) or types.is_large_binary(found):
        return
    raise DataError(
        f"{file.path}: column {columns.picture!r} holds {found}, expected a struct of bytes and "
        f"path. {file.remedy}"
    )


def _labels(
    tables: Sequence[Any], column: str, feature: Any, name: str
) -> tuple[tuple[str, ...], np.ndarray]:
    values = [value for table in tables for value in table.column(column).to_pylist()]
    if type(feature).__name__ != "ClassLabel":
        present = sorted({value for value in values if value is not None})
        number = {value: place for place, value in enumerate(present)}
        numbers = [UNLABELLED if value is None else number[value] for value in values]
        return tuple(map(str, present)), np.array(numbers, dtype=np.int64)
    names = tuple(feature.names)
    try:
        found = np.array([UNLABELLED if v is None else v for v in values], dtype=np.int64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: class-label column {column!r} holds no integers.") from error
    if len(found) and (found.max() >= len(names) or found.min() < UNLABELLED):
        raise DataError(
            f"{name}: column {column!r} has labels from {found.min()} to {found.max()}, but "
            f"{len(names)} class names. The data set's features do not fit its rows."
        )
    return names, found


def _ids(parts: Sequence[Part], tables: Sequence[Any], columns: Columns) -> np.ndarray:
    if columns.id:
        given = [value for table in tables for value in table.column(columns.id).to_pylist()]
        if (found := _as_ids(given)) is not None:
            return found
    if columns.has_paths and (found := _as_ids(_paths(tables, columns))) is not None:
        return found
    counted = [
        f"{part.split}/{row}" for part in parts for row in range(sum(f.rows for f in part.files))
    ]
    return np.array(counted, dtype=object)


def _as_ids(values: Sequence[Any]) -> np.ndarray | None:
    """Values as ids; None unless each is there, unique and a relative path."""
    if any(value is None or value == "" for value in values):
        return None
    found = [unicodedata.normalize("NFC", str(value)) for value in values]
    parts = [PurePosixPath(value) for value in found]
    if any(path.is_absolute() or ".." in path.parts for path in parts):
        return None
    return np.array(found, dtype=object) if len(set(found)) == len(found) else None


def _paths(tables: Sequence[Any], columns: Columns) -> list[str | None]:
    import pyarrow.compute as pc

    found = (pc.struct_field(table.column(columns.picture), "path") for table in tables)
    return [path for column in found for path in column.to_pylist()]


def _captions(tables: Sequence[Any], column: str | None) -> list[tuple[str, ...]] | None:
    if column is None:
        return None
    values = [value for table in tables for value in table.column(column).to_pylist()]
    lists = [[value] if isinstance(value, str) else value or [] for value in values]
    return [tuple(text for text in texts if text) for texts in lists]


def _splits(
    parts: Sequence[Part], ids: np.ndarray, labels: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], str]:
    named = [split_named(part.split) or "" for part in parts]
    if len(parts) == 1:
        named = [""]  # one split is no division, whatever it is called
    rows = [sum(file.rows for file in part.files) for part in parts]
    given = np.repeat(np.array(named, dtype=object), rows)
    found = {task: settled(given, ids, values) for task, values in labels.items()}
    is_fixed = any(split.origin == "fixed" for split in found.values())
    return {task: split.splits for task, split in found.items()}, "fixed" if is_fixed else "given"


def _digests(files: Sequence[TableFile], columns: Columns, home: Path, folder: Path) -> np.ndarray:
    """Digests of all pictures, kept by table file; "" of those that the tables do not hold."""
    root = folder.absolute()
    names = [Path(os.path.relpath(file.path.absolute(), root)).as_posix() for file in files]
    remedy = files[0].remedy
    kept = cached_digests(
        home,
        root,
        names,
        lambda path: stored_digests(table_file(path, remedy), columns.picture),
        kind=f"table {columns.picture}",
    )
    return np.array([digest for name in names for digest in kept[name]], dtype=object)


def _digests_beside(
    digests: np.ndarray, paths: Sequence[str | None], home: Path, folders: Sequence[Path]
) -> np.ndarray:
    """Fill in the digests of pictures that lie beside the tables, each kept by its own file."""
    found = digests.copy()
    for folder in folders:
        root, rows = folder.resolve(), {}
        for row in np.flatnonzero(found == "").tolist():
            with suppress(OSError, ValueError):
                rows[row] = inside([folder], paths[row] or "").relative_to(root).as_posix()
        files = sorted(set(rows.values()))
        kept = cached_digests(home, root, files, _file_digest, kind="beside a table")
        for row, name in rows.items():
            found[row] = kept[name][0]
    return found


def _file_digest(path: Path) -> list[str]:
    with path.open("rb") as stream:
        return [hashlib.file_digest(stream, "sha256").hexdigest()]
