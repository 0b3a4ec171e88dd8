"""`labels.csv`: a folder's pictures with their labels, splits and captions, a line each."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from cliplab.datasets.splits import split_named
from cliplab.datasets.tree import path_id
from cliplab.nouns import TEST, TRAIN, VALIDATION
from cliplab.runtime.errors import DataError, Faults

LABELS_CSV = "labels.csv"
LABEL = "label"


class LabelTable(NamedTuple):
    """What a `labels.csv` says of N pictures, in the order of its lines."""

    files: list[str]  # N paths in the folder, as the file system spells them
    labels: dict[str, list[str]]  # task → N labels as text; "" is unlabelled
    splits: list[str] | None  # N of train, validation, test, ""; None without such a column
    captions: list[str] | None  # N; None without such a column


def read_labels_csv(path: Path, files: Sequence[str]) -> LabelTable:
    """Read a folder's `labels.csv`.

    The header names the columns: `path` (relative to the folder) and `label`; `split`, `caption`
    and further tasks as `label:TASK`, if wanted. Other columns are passed over. An empty split
    leaves the picture out of all splits, an empty label of a further task is unlabelled. Text is
    UTF-8, with or without a byte-order mark; semicolons and tabs separate as well as commas.

    Parameters
    ----------
    path
        The file.
    files
        Files that are in the folder, as the file system spells them.

    Raises
    ------
    DataError
        If anything is wrong; every fault is listed with its line.
    """
    lines = csv_lines(path)
    header = [_column(name) for name in next(lines, (0, []))[1]]
    tasks = _check_header(path, header)
    on_disk = {path_id(file): file for file in files}
    table = LabelTable([], {task: [] for task in tasks.values()}, [], [])
    seen: dict[str, int] = {}
    faults = Faults()
    for line, row in csv_rows(lines, header, faults):
        file = _file(path.parent, row["path"], on_disk, line, seen, faults)
        for column, task in tasks.items():
            if column == LABEL and not row[column]:
                faults.add(f"line {line}: no label for {row['path']!r}")
            table.labels[task].append(row[column])
        table.files.append(file)
        _append_split(table, row.get("split", ""), line, faults)
        assert table.captions is not None
        table.captions.append(row.get("caption", ""))
    faults.raise_any(f"{path} cannot be used. Correct these lines:")
    if not table.files:
        raise DataError(f"{path} names no picture: only a header. Add a line for each picture.")
    return table._replace(
        splits=table.splits if "split" in header else None,
        captions=table.captions if "caption" in header else None,
    )


def csv_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Give line number and fields of each line that is not blank.

    Raises
    ------
    DataError
        If it is not UTF-8, no CSV, or cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 (byte {error.start:,}). Save it as CSV in UTF-8."
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield reader.line_num, fields
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: {error}. Save it as CSV again."
        ) from error


def csv_rows(
    lines: Iterable[tuple[int, list[str]]], header: Sequence[str], faults: Faults
) -> Iterator[tuple[int, dict[str, str]]]:
    """Give line number and fields by column; a line with more or fewer fields is a fault."""
    for line, fields in lines:
        if len(fields) == len(header):
            yield line, dict(zip(header, (field.strip() for field in fields), strict=True))
        else:
            faults.add(f"line {line}: {len(fields)} fields, expected {len(header)} as the header")


def _column(name: str) -> str:
    """Give a column's name in lower case, but for the task in `label:Task`."""
    head, colon, task = name.partition(":")
    return head.strip().lower() + colon + task.strip()


def _check_header(path: Path, header: Sequence[str]) -> dict[str, str]:
    """Give label column → task, the default task first."""
    tasks = {LABEL: LABEL} if LABEL in header else {}
    prefix = LABEL + ":"
    tasks |= {name: name.removeprefix(prefix) for name in header if name.startswith(prefix)}
    expected = "its first line must be path,label (and split, caption, label:TASK if wanted)"
    found = ",".join(header) or "an empty file"
    if "path" not in header or not tasks or "" in tasks.values():
        missing = "column path" if "path" not in header else "column label"
        raise DataError(f"{path} has no {missing}: {expected}; found {found}.")
    if len(set(tasks.values())) < len(tasks) or len(set(header)) < len(header):
        raise DataError(f"{path} names a column twice: {expected}; found {found}.")
    return tasks


def _file(
    folder: Path,
    given: str,
    on_disk: Mapping[str, str],
    line: int,
    seen: dict[str, int],
    faults: Faults,
) -> str:
    """Give the file that a path means, which no earlier line may name."""
    id_ = path_id(str(PurePosixPath(given)))
    if given and id_ in seen:
        faults.add(f"line {line}: {given!r} again, after line {seen[id_]}")
    seen.setdefault(id_, line)
    return path_in_folder(folder, given, on_disk, line, faults)


def path_in_folder(
    folder: Path, given: str, on_disk: Mapping[str, str], line: int, faults: Faults
) -> str:
    """Give the file that a path means; what is wrong with it goes to `faults`."""
    pure = PurePosixPath(given)
    if not given:
        faults.add(f"line {line}: no path")
        return ""
    if pure.is_absolute() or ".." in pure.parts:
        faults.add(f"line {line}: {given!r} leads out of the folder; paths are relative to it")
        return ""
    id_ = path_id(str(pure))
    file = on_disk.get(id_, str(pure))
    if id_ not in on_disk and not (folder / file).is_file():
        faults.add(f"line {line}: there is no file {given!r} in {folder}")
    return file


def split_in_words(text: str, line: int, faults: Faults) -> str:
    """Give train, validation or test, or "" where nothing stands; else a fault."""
    split = split_named(text) if text else ""
    if split is None:
        faults.add(f"line {line}: split {text!r}; expected {TRAIN}, {VALIDATION} or {TEST}")
    return split or ""


def _append_split(table: LabelTable, text: str, line: int, faults: Faults) -> None:
    assert table.splits is not None
    table.splits.append(split_in_words(text, line, faults))
