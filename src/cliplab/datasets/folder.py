"""A folder of the user's pictures, read where it lies: nothing is copied, only an index is kept."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cliplab.datasets.captions_csv import CAPTIONS_CSV, CaptionTable, read_captions_csv
from cliplab.datasets.index import cached_digests
from cliplab.datasets.labels_csv import LABEL, LABELS_CSV, read_labels_csv
from cliplab.datasets.names import readable_names
from cliplab.datasets.splits import settled, split_named
from cliplab.datasets.tree import Tree, ids_of, listed, path_id, top_folders, walk
from cliplab.nouns import CAPTIONS_ALONE, UNLABELLED, Dataset, Task
from cliplab.runtime.errors import DataError, UsageError
from cliplab.runtime.progress import say

HOW = (
    "Put the pictures into one folder a class (cats/1.jpg, dogs/2.jpg), or write a "
    f"{LABELS_CSV} with the header path,label (or a {CAPTIONS_CSV} with picture,caption)."
)

KNOWN = (CAPTIONS_CSV, "drawings.json", "drawings.json.lock")  # beside pictures; no word of these

_say_once = cache(say)  # a data set may be opened many times in one run


@dataclass(frozen=True, slots=True)
class FolderSource:
    """The `PictureSource` of files below a folder."""

    root: Path
    files: tuple[str, ...]  # N paths relative to `root`, as the file system spells them

    def open(self, rows: Sequence[int]) -> Iterator[Callable[[], bytes]]:
        """For each row, a callable that reads its file; see `nouns.PictureSource`."""
        return (partial(_read, self.root, self.files[row]) for row in rows)


def _read(root: Path, file: str) -> bytes:
    return (root / file).read_bytes()


class _Layout(NamedTuple):
    """What a folder says of N pictures; labels are text, "" is unlabelled."""

    files: list[str]
    labels: dict[str, list[str]]  # task → N; none: the pictures have captions alone
    splits: list[str] | None
    captions: list[tuple[str, ...]] | None = None


def open_folder(path: Path, *, name: str, home: Path) -> Dataset:
    """Open a folder of pictures, which stay where they are.

    A folder with a `labels.csv` is what that says (`read_labels_csv`). Else, if all folders in it
    that hold pictures are called as splits are (train, val, test, … in any case), it is
    ``split/class/picture.jpg``; one such folder is enough. Else it is ``class/picture.jpg``.
    Pictures may lie deeper within a class. A `captions.csv` (`read_captions_csv`) adds captions to
    these; where there are not two classes, the pictures that it names are the data set, without
    classes (`nouns.CAPTIONS_ALONE`). Its splits count where nothing else gives some.

    A file is a picture by its suffix, also if it cannot be read later; what else there is, is
    counted on stderr. An id is the path within the folder, in Unicode NFC. Classes are numbered
    by the sorted names of their folders (labels that are whole numbers: by value), over all
    splits; `Task.class_names` has them in words (`readable_names`). Without a test split,
    validation stands in for it; without either, the fixed split is made (`settled`).

    Parameters
    ----------
    path
        The folder.
    name
        As the user calls it.
    home
        Folder of what is kept between runs; an index of the files' digests goes there.

    Raises
    ------
    UsageError
        If there is no such folder, or it is a file.
    DataError
        If it holds no pictures or no classes, one class alone, folders that may not be read, or
        a `labels.csv` with faults; the message says what to do.
    StorageError
        If the index cannot be written.
    """
    check_folder(path)
    tree = walk(path)
    layout = _layout(path, tree)
    _check_classes(path, layout)
    ids = np.array(ids_of(layout.files, path), dtype=object)
    given = np.array(layout.splits or [""] * len(ids), dtype=object)
    tasks, labels, splits, origins = {}, {}, {}, set()
    for task, texts in layout.labels.items():
        tasks[task], labels[task] = _numbered(task, texts)
        splits[task], origin = settled(given, ids, labels[task])
        origins.add(origin)
    if not tasks:
        task = CAPTIONS_ALONE.name
        tasks[task], labels[task] = CAPTIONS_ALONE, np.full(len(ids), UNLABELLED, dtype=np.int64)
        splits[task], origin = settled(given, ids, np.zeros(len(ids), dtype=np.int64))
        origins.add(origin)
    digests = cached_digests(home, path, layout.files, _digest, kind="file")
    order = np.argsort(ids, kind="stable")
    captions = layout.captions
    return Dataset(
        name=name,
        tasks=tasks,
        ids=ids[order],
        labels={task: values[order] for task, values in labels.items()},
        splits={task: values[order] for task, values in splits.items()},
        digests=np.array([digests[file][0] for file in layout.files], dtype=object)[order],
        source=FolderSource(path, tuple(layout.files[row] for row in order)),
        captions=[captions[row] for row in order] if captions else None,
        split_origin="fixed" if "fixed" in origins else "given",
        location=path,
    )


def check_folder(path: Path) -> None:
    """Refuse what is no folder (`UsageError`) or may not be looked into (`DataError`)."""
    if os.path.isfile(path):  # noqa: PTH113 (never raises)
        raise UsageError(
            f"{path} is a file; a data set is a folder. {HOW} For single pictures use "
            "`cliplab classify`."
        )
    if not os.path.isdir(path):  # noqa: PTH112
        raise UsageError(f"There is no folder {path}. Check the path.")
    if not os.access(path, os.R_OK | os.X_OK):
        raise DataError(f"{path} may not be looked into. Give yourself permission: chmod u+rx.")


def _layout(path: Path, tree: Tree) -> _Layout:
    table = None
    if CAPTIONS_CSV in tree.others:
        table = read_captions_csv(path / CAPTIONS_CSV, [*tree.pictures, *tree.others])
    if LABELS_CSV in tree.others:
        layout = _from_csv(path, tree)
    elif table and not _has_classes(tree):
        return _from_captions(path, tree, table)
    else:
        layout = _from_folders(path, tree)
    return _with_captions(path, layout, table) if table else layout


def _has_classes(tree: Tree) -> bool:
    """Whether pictures lie in two folders or more that are no splits."""
    folders = [file.split("/")[:-1] for file in tree.pictures]
    inner = [names[1:] if names and split_named(names[0]) else names for names in folders]
    return len({names[0] for names in inner if names}) > 1


def _from_captions(path: Path, tree: Tree, table: CaptionTable) -> _Layout:
    """Give the pictures that have captions, without classes."""
    files = list(table.captions)
    _tell("not in " + CAPTIONS_CSV, [f for f in tree.pictures if f not in table.captions], path)
    splits = table.splits or {file: split_named(file.partition("/")[0]) or "" for file in files}
    given = [splits[file] for file in files] if any(splits.values()) else None
    captions = [tuple(table.captions[file]) for file in files]
    return _Layout(files, {}, given, captions)


def _with_captions(path: Path, layout: _Layout, table: CaptionTable) -> _Layout:
    """Add the captions (and the splits, where there are none) to what is known of the pictures."""
    known = set(layout.files)
    _tell(f"of {CAPTIONS_CSV} without a class", [f for f in table.captions if f not in known], path)
    own: list[tuple[str, ...]] = layout.captions or [()] * len(layout.files)
    added = [tuple(table.captions.get(file, ())) for file in layout.files]
    splits = layout.splits
    if splits is None and table.splits:
        splits = [table.splits.get(file, "") for file in layout.files]
    captions = [one + other for one, other in zip(own, added, strict=True)]
    return layout._replace(splits=splits, captions=captions)


def _from_csv(path: Path, tree: Tree) -> _Layout:
    table = read_labels_csv(path / LABELS_CSV, [*tree.pictures, *tree.others])
    named = set(table.files)
    _tell("not in " + LABELS_CSV, [file for file in tree.pictures if file not in named], path)
    if table.splits and any(table.splits):
        outside = [f for f, split in zip(table.files, table.splits, strict=True) if not split]
        _tell(f"without a split in {LABELS_CSV}", outside, path)
    captions: list[tuple[str, ...]] | None = None
    if table.captions is not None:
        captions = [(text,) if text else () for text in table.captions]
    return _Layout(table.files, table.labels, table.splits, captions)


def _from_folders(path: Path, tree: Tree) -> _Layout:
    if not tree.pictures:
        found = f"other files: {listed(tree.others)}" if tree.others else "nor any other file"
        raise DataError(f"{path} holds no pictures ({found}). {HOW}")
    splits = _split_folders(path, tree)
    depth = 3 if splits else 2
    files = [file for file in tree.pictures if file.count("/") >= depth - 1]
    beside = [file for file in tree.pictures if file.count("/") < depth - 1]
    if not files:
        where = f"directly in {listed(sorted(splits))}" if splits else "directly in it"
        raise DataError(f"{path} has pictures {where} but no class folders. {HOW}")
    _tell("beside the class folders", beside, path)
    others = [file for file in tree.others if file not in KNOWN]
    _tell("without a picture's suffix", others, path, what="file")
    bare = [folder for folder in tree.bare if folder.count("/") == depth - 2]
    _tell("without pictures", bare, path, what="folder")
    parts = [file.split("/", depth - 1) for file in files]
    if not splits:
        _tell_domains(path, [(part[0], part[1]) for part in parts])
    texts = {LABEL: [path_id(part[depth - 2]) for part in parts]}
    return _Layout(files, texts, [splits[part[0]] for part in parts] if splits else None)


def _tell_domains(path: Path, pictures: Sequence[tuple[str, str]]) -> None:
    """Say so where each class (class, path in it) has the same folders: they may be the classes."""
    inside: dict[str, set[str]] = {}
    for name, rest in pictures:
        inside.setdefault(name, set()).add(rest.split("/")[0] if "/" in rest else "")
    first, *others = inside.values()
    if others and len(first) > 1 and "" not in first and all(one == first for one in others):
        classes = listed(sorted(inside))
        _say_once(
            f"{path}: {classes} are taken for the classes, and each has the folders "
            f"{listed(sorted(first))}. If these are the classes, name {path / min(inside)}, or do "
            f"all of them with `cliplab transfer {path}`."
        )


def _split_folders(path: Path, tree: Tree) -> dict[str, str]:
    """Folder → split, if the folders are splits; else none."""
    folders = list(top_folders(tree.pictures))
    splits = {folder: split for folder in folders if (split := split_named(folder))}
    if len(splits) < len(folders):
        if len(splits) > 1:
            others = [folder for folder in folders if folder not in splits]
            raise DataError(
                f"{path}: {listed(sorted(splits))} are names of splits, {listed(others)} "
                "beside them not. Move what is no split away, or say in a "
                f"{LABELS_CSV} (path,label,split) which picture is what."
            )
        return {}
    if len(set(splits.values())) < len(splits):
        raise DataError(
            f"{path}: {listed(sorted(splits))} mean the same split twice. Put them together, or "
            f"write a {LABELS_CSV} (path,label,split)."
        )
    return splits


def _check_classes(path: Path, layout: _Layout) -> None:
    """Refuse one class alone, unless captions tell its pictures apart."""
    if layout.captions:
        return
    classes = sorted(set(layout.labels[next(iter(layout.labels))]) - {""})
    if len(classes) > 1:
        return
    first = classes[0] if classes else ""
    deeper = {file.split("/")[1] for file in layout.files if file.count("/") > 1}
    inside = path / first
    meant = f" Or did you mean {inside}?" if len(deeper) > 1 and inside.is_dir() else ""
    raise DataError(
        f"{path} has one class alone ({first!r}); telling apart takes at least two. {HOW}{meant}"
    )


def _numbered(task: str, texts: Sequence[str]) -> tuple[Task, np.ndarray]:
    names = sorted(set(texts) - {""})
    if all(name.isascii() and name.isdigit() for name in names):
        names.sort(key=int)
    number = {name: label for label, name in enumerate(names)}
    labels = np.array([number.get(text, UNLABELLED) for text in texts], dtype=np.int64)
    return Task(task, readable_names(names)), labels


def _digest(file: Path) -> list[str]:
    with file.open("rb") as stream:
        return [hashlib.file_digest(stream, "sha256").hexdigest()]


def _tell(why: str, files: Sequence[str], path: Path, what: str = "picture") -> None:
    if files:
        plural = "s" if len(files) > 1 else ""
        _say_once(f"{path}: passed over {len(files):,} {what}{plural} {why}: {listed(files)}")
