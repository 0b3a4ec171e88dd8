"""`captions.csv`: what is said of a folder's pictures, a line a caption, several a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cliplab.datasets.labels_csv import csv_lines, csv_rows, path_in_folder, split_in_words
from cliplab.datasets.tree import path_id
from cliplab.runtime.errors import DataError, Faults

CAPTIONS_CSV = "captions.csv"
PICTURE = ("picture", "image", "path", "file", "file_name", "filename")  # what the column is called
CAPTION = ("caption", "text")


class CaptionTable(NamedTuple):
    """What a `captions.csv` says of n pictures, in the order of their first lines."""

    captions: dict[str, list[str]]  # file, as the file system spells it → its captions, in order
    splits: dict[str, str] | None  # file → train, validation, test, ""; None without such a column


def read_captions_csv(path: Path, files: Sequence[str]) -> CaptionTable:
    """Read a folder's `captions.csv`.

    The header names the columns: `picture` (relative to the folder; `image`, `path`, `file`,
    `file_name` serve as well) and `caption` (or `text`); `split`, if wanted. Other columns are
    passed over. A picture has as many lines as captions; its split may stand on any of them. Text
    is UTF-8, with or without a byte-order mark; semicolons and tabs separate as well as commas.

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
    header = [name.strip().lower() for name in next(lines, (0, []))[1]]
    picture, caption = _columns(path, header)
    on_disk = {path_id(file): file for file in files}
    table, faults = CaptionTable({}, {}), Faults()
    assert table.splits is not None
    for line, row in csv_rows(lines, header, faults):
        file = path_in_folder(path.parent, row[picture], on_disk, line, faults)
        if not row[caption]:
            faults.add(f"line {line}: no caption for {row[picture]!r}")
        table.captions.setdefault(file, []).append(row[caption])
        split = split_in_words(row.get("split", ""), line, faults)
        if split and table.splits.setdefault(file, split) not in ("", split):
            faults.add(f"line {line}: {row[picture]!r} is {split} here, {table.splits[file]} above")
        table.splits[file] = split or table.splits.get(file, "")
    faults.raise_any(f"{path} cannot be used. Correct these lines:")
    if not table.captions:
        raise DataError(f"{path} has no caption: only a header. Add a line for each caption.")
    return table if "split" in header else table._replace(splits=None)


def _columns(path: Path, header: Sequence[str]) -> tuple[str, str]:
    """Give the columns of pictures and of captions."""
    expected = "its first line must be picture,caption (and split if wanted)"
    shown = ",".join(header) or "an empty file"
    if len(set(header)) < len(header):
        raise DataError(f"{path} names a column twice: {expected}; found {shown}.")
    found = [next((name for name in names if name in header), None) for names in (PICTURE, CAPTION)]
    picture, caption = found
    if picture is None or caption is None:
        missing = "picture" if picture is None else "caption"
        raise DataError(f"{path} has no column {missing}: {expected}; found {shown}.")
    return picture, caption
