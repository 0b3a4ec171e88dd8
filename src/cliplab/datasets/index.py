"""Digests of files, kept between runs: a file is hashed again only when it has changed."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from cliplab.runtime.errors import CliplabError, FormatTooNew
from cliplab.runtime.machine import usable_cores
from cliplab.runtime.progress import progress, say
from cliplab.runtime.storage import atomic_write, locked, sweep_parts

FORMAT_VERSION = 1
SAVE_EVERY = 10.0  # seconds of hashing that a kill may cost
SLICE = 4096  # files handed to the threads at once, so that millions take no memory

DigestsOf = Callable[[Path], list[str]]


class _Stamp(NamedTuple):
    """What tells that a file has not changed."""

    size: int  # bytes
    mtime_ns: int


class _Entry(NamedTuple):
    stamp: _Stamp
    digests: list[str]


def cached_digests(
    home: Path, root: Path, files: Sequence[str], digests_of: DigestsOf, *, kind: str
) -> dict[str, list[str]]:
    """Give the digests of each file, hashing only those that are new or changed.

    They are kept in ``home/indexes/<digest of root and kind>.parquet`` with each file's size and
    modification time. Several files are hashed at once; what was done is written every ten
    seconds, so that a killed run goes on where it was. A second process waits for the first. An
    index that is damaged is made again. Where nothing changed, nothing is written.

    Parameters
    ----------
    home
        Folder of what is kept between runs.
    root
        Folder in which the files lie.
    files
        Paths of files relative to `root`, POSIX.
    digests_of
        Gives the hex SHA-256 digests of one file: one of a picture, one a row of a shard. Called
        in several threads.
    kind
        What the digests are of; indexes of different kinds are kept apart.

    Returns
    -------
    dict
        File → digests, in the order of `files`. A file that cannot be read (`OSError`) has
        ``[""]`` and is tried again the next time.

    Raises
    ------
    StorageError
        If the index cannot be written; the message names the way out.
    FormatTooNew
        If a newer cliplab wrote the index.
    """
    place = _place(home, root, kind)
    stamps = {file: _stamp(f"{root}/{file}") for file in files}
    kept = _fresh(_read(place), stamps)
    if _missing(kept, stamps):
        with locked(place, lambda: say(f"Another process is reading {root}; waiting for it …")):
            sweep_parts(place.parent, glob.escape(place.name))
            kept = _fresh(_read(place), stamps)  # what the other process has done since
            _hash(place, root, stamps, kept, digests_of)
    return {file: kept[file].digests if file in kept else [""] for file in files}


def _place(home: Path, root: Path, kind: str) -> Path:
    key = os.fsencode(root.resolve()) + b"\0" + kind.encode()
    return home / "indexes" / f"{hashlib.sha256(key).hexdigest()[:32]}.parquet"


def _stamp(path: str) -> _Stamp | None:
    try:
        found = os.stat(path)  # noqa: PTH116 (a Path for each of a million files is slow)
    except OSError:
        return None
    return _Stamp(found.st_size, found.st_mtime_ns)


def _fresh(kept: Mapping[str, _Entry], stamps: Mapping[str, _Stamp | None]) -> dict[str, _Entry]:
    """Entries of the files asked for that have not changed since."""
    found = ((file, kept.get(file)) for file in stamps)
    return {file: entry for file, entry in found if entry and entry.stamp == stamps[file]}


def _missing(kept: Mapping[str, _Entry], stamps: Mapping[str, _Stamp | None]) -> list[str]:
    return [file for file, stamp in stamps.items() if stamp and file not in kept]


def _hash(
    place: Path,
    root: Path,
    stamps: Mapping[str, _Stamp | None],
    kept: dict[str, _Entry],
    digests_of: DigestsOf,
) -> None:
    """Add the missing digests to `kept`, writing it from time to time and in the end."""
    missing = _missing(kept, stamps)
    before, saved = len(kept), time.monotonic()
    label = f"Hashing {root.name}"
    try:
        with progress(label, len(stamps), unit="files", done=before) as advance:
            for file, digests in _digests(root, missing, digests_of):
                advance(1)
                stamp = stamps[file]
                if stamp and digests is not None:
                    kept[file] = _Entry(stamp, digests)
                if time.monotonic() - saved > SAVE_EVERY:
                    _write(place, root, kept)
                    saved = time.monotonic()
    finally:  # also when interrupted: what is done need not be done again
        if len(kept) > before:
            _write(place, root, kept)


def _digests(
    root: Path, files: Sequence[str], digests_of: DigestsOf
) -> Iterator[tuple[str, list[str] | None]]:
    def digest(file: str) -> list[str] | None:
        try:
            return digests_of(root / file)
        except CliplabError:
            raise
        except OSError:
            return None

    pool = ThreadPoolExecutor(max_workers=2 * usable_cores())
    try:
        for start in range(0, len(files), SLICE):
            part = files[start : start + SLICE]
            yield from zip(part, pool.map(digest, part), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def _read(place: Path) -> dict[str, _Entry]:
    """Give the entries of an index; none if it is not there or damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    damage = (OSError, pa.ArrowException, ValueError, KeyError, TypeError)
    try:
        version = json.loads(pq.read_schema(place).metadata[b"cliplab"])["format_version"]
    except damage:
        return {}
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise FormatTooNew(place, version, FORMAT_VERSION)
    try:
        table = pq.read_table(place)
        columns = [table.column(name).to_pylist() for name in _schema(None).names]
    except damage:
        return {}
    rows = zip(*columns, strict=True)
    return {os.fsdecode(path): _Entry(_Stamp(size, at), found) for path, size, at, found in rows}


def _write(place: Path, root: Path, entries: Mapping[str, _Entry]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [
        [os.fsencode(file) for file in entries],
        [entry.stamp.size for entry in entries.values()],
        [entry.stamp.mtime_ns for entry in entries.values()],
        [entry.digests for entry in entries.values()],
    ]
    schema = _schema(root)
    arrays = [pa.array(c, field.type) for c, field in zip(columns, schema, strict=True)]
    with atomic_write(place) as stream:
        pq.write_table(pa.Table.from_arrays(arrays, schema=schema), stream, compression="zstd")


def _schema(root: Path | None) -> Any:
    import pyarrow as pa

    ours = {
        "format_version": FORMAT_VERSION,
        "root": os.fsencode(root or "").decode("utf-8", "replace"),
    }
    return pa.schema(
        [
            ("path", pa.binary()),  # as the file system has it, which need not be Unicode
            ("size", pa.int64()),
            ("mtime_ns", pa.int64()),
            ("digests", pa.list_(pa.string())),
        ],
        metadata={"cliplab": json.dumps(ours)},
    )
