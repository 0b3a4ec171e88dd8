"""Files checked by size and digest; a digest that nobody states is recorded at first use."""

from __future__ import annotations

import glob
import hashlib
import os
from pathlib import Path
from typing import Any

from cliplab.runtime.archives import is_page
from cliplab.runtime.errors import DataError
from cliplab.runtime.progress import progress, say
from cliplab.runtime.storage import locked, read_json, sweep_parts, write_json

FORMAT_VERSION = 1
CHUNK = 1 << 20  # bytes
ALGORITHMS = ("md5", "sha1", "sha256", "sha512")


def algorithm_of(digest: str | None) -> str:
    """Give the algorithm of a digest such as "md5:…"; sha256 where none is known."""
    name = (digest or "sha256:").partition(":")[0]
    assert name in ALGORITHMS, f"a digest is written md5:… or sha256:…, not {digest!r}"
    return name


def verified(path: Path, *, size: int | None, digest: str | None, records: Path) -> str:
    """Give a file's digest, "md5:…" or "sha256:…", having compared size and digest.

    A file is hashed again only when its size or its time of change differ from those at the last
    time, which `records` keeps. Where `digest` is None, the SHA-256 found at first use is kept
    there too, and the file is held to it from then on.

    Parameters
    ----------
    path
        The file; it is only read, and so may lie in a folder that cannot be written.
    size, digest
        What is expected, as far as it is known.
    records
        Folder of what is remembered of files, one small JSON each.

    Raises
    ------
    DataError
        If it is not what is expected; the message says what it is and the way out.
    """
    place = _record_place(path, records)
    refuse_wrong_size(path, path.stat().st_size, size)
    with locked(place, lambda: say(f"Another process is verifying {path}; waiting for it.")):
        sweep_parts(records, glob.escape(place.name))
        return _verified(path, digest, place)


def _verified(path: Path, digest: str | None, place: Path) -> str:
    found, record = path.stat(), _record(place)
    algorithm = algorithm_of(digest)
    stamp = {"size": found.st_size, "mtime_ns": found.st_mtime_ns, "algorithm": algorithm}
    if all(record.get(key) == value for key, value in stamp.items()):
        computed = str(record["digest"])
    else:
        computed = f"{algorithm}:{_hash(path, algorithm, found.st_size)}"
    if digest is not None and computed != digest:
        raise DataError(
            f"{path} has {computed}, expected {digest}: it is damaged or another version. "
            "Remove it (or move it away) and run the same command again to fetch it."
        )
    first = record.get("digest") if record.get("algorithm") == algorithm else None
    if digest is None and first is not None and computed != first:
        raise DataError(
            f"{path} has changed: {computed}, and {first} at first use. Put the earlier file back; "
            f"or, if the change is meant, remove {place} and run the same command again."
        )
    _remember(path, computed, place)
    return computed


def remember(path: Path, digest: str, records: Path) -> None:
    """Keep what was computed of a file as it lies there now."""
    _remember(path, digest, _record_place(path, records))


def _remember(path: Path, digest: str, place: Path) -> None:
    found = path.stat()
    value = {
        "format_version": FORMAT_VERSION,
        "path": os.fsencode(path.absolute()).decode("utf-8", "backslashreplace"),
        "size": found.st_size,
        "mtime_ns": found.st_mtime_ns,
        "algorithm": algorithm_of(digest),
        "digest": digest,
    }
    if _record(place) != value:
        write_json(place, value)


def refuse_changed(path: Path, digest: str, records: Path) -> None:
    """Raise a `DataError` if another digest was recorded for the file that stood at `path`."""
    place = _record_place(path, records)
    first = _record(place).get("digest")
    if first is not None and algorithm_of(str(first)) == algorithm_of(digest) and first != digest:
        raise DataError(
            f"{path.name} as served now has {digest}, and had {first} at first use: the source has "
            f"changed. If that is meant, remove {place} and run the same command again."
        )


def refuse_wrong_size(path: Path, found: int, expected: int | None) -> None:
    """Raise a `DataError` if a file has another size; an HTML page in its place is named."""
    with path.open("rb") as stream:
        if path.suffix != ".html" and is_page(stream.read(2048)):
            raise DataError(
                f"{path} is an HTML page, not the file itself: a login or error page saved in its "
                "place. Remove it and run the same command again to fetch it."
            )
    if expected is not None and found != expected:
        raise DataError(
            f"{path} has {found:,} bytes, expected {expected:,}: it is cut short or another "
            "version. Remove it (or move it away) and run the same command again to fetch it."
        )


def _hash(path: Path, algorithm: str, size: int) -> str:
    hasher = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as stream, progress(f"Verifying {path.name}", size, unit="bytes") as seen:
        while chunk := stream.read(CHUNK):
            hasher.update(chunk)
            seen(len(chunk))
    return hasher.hexdigest()


def _record_place(path: Path, records: Path) -> Path:
    key = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]
    return records / f"{path.name}-{key}.json"


def _record(place: Path) -> dict[str, Any]:
    try:
        found = read_json(place, FORMAT_VERSION)
    except (FileNotFoundError, DataError):
        return {}
    return found if isinstance(found, dict) else {}
