"""What lies in a folder of the user's: its pictures, and what is passed over."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cliplab.runtime.errors import Faults

PICTURE_SUFFIXES = frozenset(
    (
        *(".apng", ".avif", ".avifs", ".bmp", ".bw", ".cur", ".dcx", ".dds", ".dib", ".gif"),
        *(".heic", ".heif", ".icb", ".icns", ".ico", ".j2c", ".j2k", ".jfif", ".jp2", ".jpc"),
        *(".jpe", ".jpeg", ".jpf", ".jpg", ".jpx", ".jxl", ".mpo", ".msp", ".pbm", ".pcx"),
        *(".pfm", ".pgm", ".png", ".pnm", ".ppm", ".psd", ".qoi", ".ras", ".rgb", ".rgba"),
        *(".sgi", ".tga", ".tif", ".tiff", ".vda", ".vst", ".webp", ".xbm", ".xpm"),
    )
)
"""Suffixes, in lower case, of files that are taken for pictures, whatever they hold."""

_NOT_THE_USERS = frozenset(("__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN"))


class Tree(NamedTuple):
    """Files below a folder, as POSIX paths relative to it, spelled as the file system has them."""

    pictures: list[str]
    others: list[str]  # files without a picture's suffix, links that lead in a circle, devices
    bare: list[str]  # folders with no picture at any depth


def walk(root: Path) -> Tree:
    """Find the pictures below a folder: the files with a picture's suffix, in any case.

    Links to files and folders are followed, save those that lead back to a folder above them; a
    link to nowhere with a picture's name is a picture that cannot be read. Names that begin with
    a dot, and folders that systems leave behind (`__MACOSX`, `@eaDir`), are passed over.

    Raises
    ------
    DataError
        If folders may not be read; all of them are named.
    """
    tree, faults = Tree([], [], []), Faults()
    _walk(str(root), "", (), tree, faults)
    faults.raise_any(f"{root} has folders that cannot be read. Give permission or move them away:")
    return tree


def _walk(
    folder: str, prefix: str, above: tuple[tuple[int, int], ...], tree: Tree, faults: Faults
) -> None:
    try:
        status = os.stat(folder)  # noqa: PTH116
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        faults.add(f"{folder}: {error.strerror}")
        return
    here = (status.st_dev, status.st_ino)
    if here in above:
        tree.others.append(prefix.rstrip("/"))
        return
    for entry in entries:
        name = prefix + entry.name
        if entry.name.startswith(".") or entry.name in _NOT_THE_USERS:
            continue
        if _is_folder(entry):
            before = len(tree.pictures)
            _walk(entry.path, name + "/", (*above, here), tree, faults)
            if len(tree.pictures) == before:
                tree.bare.append(name)
        elif has_picture_suffix(entry.name) and (_leads_nowhere(entry) or entry.is_file()):
            tree.pictures.append(name)
        else:
            tree.others.append(name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def has_picture_suffix(name: str) -> bool:
    """Whether a file is a picture by its name."""
    return os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES  # noqa: PTH122


def _leads_nowhere(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and not os.path.exists(entry.path)  # noqa: PTH110


def ids_of(files: Sequence[str], where: Path) -> list[str]:
    r"""Give each file's id: its path in Unicode NFC; bytes that are not UTF-8 as `\xNN`.

    Raises
    ------
    DataError
        If two files have one id, which some file systems allow.
    """
    ids = [path_id(file) for file in files]
    faults = Faults()
    for id_, count in Counter(ids).items():
        if count > 1:
            faults.add(f"{id_!r} names {count} files, spelled in different forms of Unicode")
    faults.raise_any(f"{where} has files that cannot be told apart by name. Rename all but one:")
    return ids


def path_id(file: str) -> str:
    """Give the id of one file; see `ids_of`."""
    text = os.fsencode(file).decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", text)


def listed(names: Sequence[str], limit: int = 3) -> str:
    """Give the first few names and how many more there are, for a message."""
    shown = ", ".join(path_id(name) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit:,} more"


def top_folders(files: Sequence[str]) -> Iterator[str]:
    """Give the first folder of each path that has one, each once."""
    yield from dict.fromkeys(file.partition("/")[0] for file in files if "/" in file)
