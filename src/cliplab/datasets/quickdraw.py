"""Quick, Draw!: 50 million drawings of 345 things by players of a game; three readers, one look.

    quickdraw/bitmaps      the published 28x28 bitmaps, one `.npy` a class
    quickdraw/strokes      the simplified strokes, drawn at any size
    quickdraw/raw          the strokes as they were drawn, with times
    quickdraw/domainnet    the 172,500 drawings of DomainNet, by its lists
    quickdraw              whatever the folder of archives holds; downloaded, the bitmaps

Options stand behind the name, and with it in the folder that is prepared:
`quickdraw/strokes@size=128,per-class=1000`.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import NamedTuple

from cliplab.datasets import domainnet
from cliplab.datasets.drawing_files import kinds_listed
from cliplab.datasets.drawings import (
    BITMAPS,
    DRAWN_SIZE,
    RAW,
    STROKES,
    SUFFIXES,
    TASK,
    DrawingOptions,
    class_names,
    kinds_of,
    read_drawings,
)
from cliplab.datasets.entry import CatalogueEntry
from cliplab.datasets.picture_lists import not_prepared, prepared
from cliplab.datasets.tree import walk
from cliplab.nouns import Card, Dataset
from cliplab.runtime.downloads import Remote
from cliplab.runtime.errors import DataError, UsageError

NAME = "quickdraw"
RASTERS, DOMAINNETS = "quickdraw/domainnet", "domainnet/quickdraw"  # one data set, two names
HOST = "https://storage.googleapis.com/quickdraw_dataset/full"
TOTAL = 50_426_266  # drawings, recognised or not
LICENCE = "CC BY 4.0"
CITATION = (
    "@inproceedings{ha2018neural,\n"
    "  title = {A Neural Representation of Sketch Drawings},\n"
    "  author = {Ha, David and Eck, Douglas},\n"
    "  booktitle = {International Conference on Learning Representations},\n"
    "  year = {2018}\n}"
)
HOMEPAGE = "https://github.com/googlecreativelab/quickdraw-dataset"
TRAPS = (
    "A label is the word that a player was asked to draw: some drawings are unfinished, or of "
    "something else. Those that the game did not recognise are left out of strokes, unless "
    "`--all-drawings` is given; of the bitmaps nobody can tell, and all are there.",
    "All readers have one look: dark lines on white, as DomainNet's rasters have it, where the "
    "published bitmaps are light on black. `--look light` gives that back, to the bit.",
    "Strokes are drawn in the frame and with the line of the published bitmaps: at 28 pixels a "
    "drawing is its bitmap to within a grey or two of 255 on average, at 64 (the default) it is "
    "the same drawing, finer.",
    "There is no official split. Here the SHA-256 of a drawing's key, read as a number, decides by "
    "its last decimal digit: 0 is test, 1 validation, the rest train. It stays the same however "
    "many drawings are taken, and is one for simplified and raw strokes.",
    "A bitmap has no key; its class and row (`cat/17`) stand in for it. The same drawing may "
    "therefore be training as a bitmap and test as strokes: do not train on one and test on the "
    "other. DomainNet's lists, too, divide drawings of this collection in a way of their own.",
    "With all 50 million drawings, names and labels alone take some 6 GB of memory; `--per-class` "
    "takes the first so many of each class.",
)


class _Kind(NamedTuple):
    """One form in which the collection is published."""

    folder: str  # at its address
    suffix: str
    size: int | None  # bytes of all 345 files; None: not known
    description: str


KINDS: Mapping[str, _Kind] = {
    BITMAPS: _Kind(
        "numpy_bitmap", ".npy", TOTAL * 784 + 345 * 80, "Quick, Draw!: the 28x28 bitmaps."
    ),
    STROKES: _Kind(
        "simplified", ".ndjson", None, "Quick, Draw!: simplified strokes, drawn at any size."
    ),
    RAW: _Kind("raw", ".ndjson", None, "Quick, Draw!: strokes as they were drawn, with times."),
}


def _entry(name: str, kind: str) -> CatalogueEntry:
    about = KINDS[kind]
    what = "Quick, Draw!: what a folder of archives holds of it." if name == NAME else ""
    return CatalogueEntry(
        name=name,
        description=what or about.description,
        tasks={TASK: 345},
        pictures=TOTAL,
        splits={},  # by hash, about 80 to 10 to 10
        licence=LICENCE,
        size=about.size,
    )


ENTRIES = (
    _entry(NAME, BITMAPS),
    *(_entry(f"{NAME}/{kind}", kind) for kind in KINDS),
    next(entry for entry in domainnet.ENTRIES if entry.name == DOMAINNETS)._replace(name=RASTERS),
)


class Asked(NamedTuple):
    """What a name asks for."""

    name: str  # without options
    kind: str  # "" where the files decide
    options: DrawingOptions


def asked_for(name: str) -> Asked:
    """Read a name with its options.

    >>> asked_for("quickdraw/strokes@size=128,look=light").options.size
    128

    Raises
    ------
    UsageError
        If an option is unknown, or its value cannot be.
    """
    base, _, given = name.partition("@")
    values: dict[str, object] = {}
    for part in filter(None, given.split(",")):
        key, _, value = part.partition("=")
        field = key.strip().replace("-", "_")
        if field not in {f.name for f in fields(DrawingOptions)}:
            raise UsageError(f"{name}: there is no option {key!r}. {_OPTIONS}")
        if field in ("size", "per_class"):
            if not value.isdecimal():
                raise UsageError(f"{name}: {key}={value} is no number. {_OPTIONS}")
            values[field] = int(value)
        else:
            values[field] = True if field == "all_drawings" else value
    return Asked(base, base.partition("/")[2], DrawingOptions(**values))  # type: ignore[arg-type]


_OPTIONS = (
    "Options are size=PIXELS, per-class=N, look=dark or light, and all-drawings, as in "
    f"{NAME}/{STROKES}@size=128,per-class=1000."
)


def with_options(name: str, options: DrawingOptions) -> str:
    """Give the name that asks for these options; those that it has already are kept.

    >>> with_options("quickdraw", DrawingOptions(per_class=10, look="light"))
    'quickdraw@per-class=10,look=light'

    Raises
    ------
    UsageError
        If it is no name of drawings.
    """
    base, _, has = name.partition("@")
    if base == RASTERS or base not in {entry.name for entry in ENTRIES}:
        names = ", ".join(entry.name for entry in ENTRIES if entry.name != RASTERS)
        raise UsageError(
            f"{name} takes no options for drawings (--size, --per-class, --look, --all-drawings); "
            f"they are for {names}. Of a folder of your own: "
            f"cliplab prepare {NAME} --archives FOLDER."
        )
    before = asked_for(name).options if has else DrawingOptions()
    parts = []
    for field in fields(DrawingOptions):
        value = getattr(options, field.name)
        if value == field.default:
            value = getattr(before, field.name)
        if value != field.default:
            key = field.name.replace("_", "-")
            parts.append(key if value is True else f"{key}={value}")
    return f"{base}@{','.join(parts)}" if parts else base


def parts(name: str) -> tuple[str, ...]:
    """Give the name itself, with options or without; DomainNet's own name for its rasters.

    Raises
    ------
    UsageError
        If an option cannot be.
    """
    if name == RASTERS:
        return (DOMAINNETS,)
    base = name.partition("@")[0]
    if base == RASTERS or base not in {entry.name for entry in ENTRIES} or ":" in name:
        return ()  # or a name with a task behind it
    return (with_options(name, DrawingOptions()),)


def remotes(name: str) -> tuple[Remote, ...]:
    """Give the 345 files of a kind; of `quickdraw` alone, the bitmaps."""
    if name in (RASTERS, DOMAINNETS):
        return domainnet.remotes(DOMAINNETS)
    about = KINDS[asked_for(name).kind or BITMAPS]
    found = []
    for word in class_names():
        file = f"{word}{about.suffix}"
        address = f"{HOST}/{about.folder}/{urllib.parse.quote(file)}"
        found.append(Remote(f"full_{about.folder}_{file}", urls=(address,), other_names=(file,)))
    return tuple(found)


def remotes_in(name: str, folder: Path) -> tuple[Remote, ...]:
    """Give the files of drawings in a folder and below: those of the kind that the name asks for.

    Some of the 345 classes will do. `Remote.name` is the path within the folder.

    Raises
    ------
    DataError
        If there are none, or, where the name leaves the kind open, those of several kinds.
    """
    if name in (RASTERS, DOMAINNETS):
        return domainnet.remotes(DOMAINNETS)
    kind = asked_for(name).kind
    files = [folder / file for file in walk(folder).others if Path(file).suffix.lower() in SUFFIXES]
    kinds = kinds_of(files)
    if not kind and len(kinds) > 1:
        names = " or ".join(f"{NAME}/{one}" for one in sorted(kinds))
        raise DataError(
            f"{folder} holds drawings of several kinds: {kinds_listed(kinds, folder)}. Say which "
            f"to read: {names}."
        )
    found = kinds.get(kind, []) if kind else [path for paths in kinds.values() for path in paths]
    if not found:
        has = f"it has {kinds_listed(kinds, folder)}" if kinds else "nor any other drawings"
        wanted = " or ".join(
            sorted({about.suffix for k, about in KINDS.items() if kind in ("", k)})
        )
        raise DataError(
            f"{folder} holds no {kind or 'drawings'} ({wanted} files) of {NAME}; {has}."
        )
    return tuple(Remote(path.relative_to(folder).as_posix(), urls=()) for path in found)


def read_archives(name: str, files: Mapping[str, Path]) -> Dataset:
    """Give the data set of these files; see `read_drawings`.

    Raises
    ------
    DataError, UsageError
        As `read_drawings` does; also for files of another kind than the name says.
    """
    if name == DOMAINNETS:
        return domainnet.read_archives(name, files)
    wanted = asked_for(name)
    kinds = kinds_of(sorted(files.values()))
    kind = wanted.kind or next(iter(kinds))
    if set(kinds) != {kind}:
        listing = ", ".join(f"{k} ({paths[0]}, …)" for k, paths in sorted(kinds.items()))
        raise DataError(f"{name} takes {kind} alone; found {listing}.")
    about = _card(kind, wanted.options)
    return read_drawings(kinds[kind], name=name, options=wanted.options, card=about)


def card(name: str) -> Card:
    """Say where the drawings come from, before it is known what a folder holds."""
    if name in (RASTERS, DOMAINNETS):
        return domainnet.card(DOMAINNETS)
    wanted = asked_for(name)
    return _card(wanted.kind or BITMAPS, wanted.options)


def _card(kind: str, options: DrawingOptions) -> Card:
    size = f" at {options.size or DRAWN_SIZE} pixels a side" if kind != BITMAPS else ""
    look = "dark lines on white" if options.look == "dark" else "light lines on black"
    which = (
        f"the first {options.per_class:,} drawings of each class" if options.per_class else "all"
    )
    kept = (
        "whether the game recognised them or not"
        if options.all_drawings or kind == BITMAPS
        else "that the game recognised"
    )
    return Card(
        description=f"{KINDS[kind].description} Here: {which}, {kept}{size}, {look}. The split is "
        "cliplab's: 80 % train, 10 % validation, 10 % test, each drawing by the SHA-256 of its "
        "key.",
        licence=LICENCE,
        citation=CITATION,
        homepage=HOMEPAGE,
    )


def open_entry(name: str, *, home: Path) -> Dataset:
    """Open DomainNet's rasters, or what was prepared under the name that `parts` gives.

    Raises
    ------
    DataError
        Where nothing was; the message says how the drawings come here.
    """
    (part,) = parts(name)
    if (dataset := prepared(part, home)) is not None:
        return replace(dataset, name=name)
    size = None if part == DOMAINNETS else KINDS[asked_for(part).kind or BITMAPS].size
    raise not_prepared(name, [part], size)
