"""Where things lie, and how a file comes to be: beside its place, flushed, then renamed."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from cliplab.runtime.errors import CliplabError, DataError, FormatTooNew, StorageError


def home(override: str | Path | None = None) -> Path:
    """Folder of all that is kept between runs.

    `override` if given, else `CLIPLAB_HOME`, else the platform's user data directory. Not created.
    """
    if override:
        return Path(override).expanduser().absolute()
    if from_environment := os.environ.get("CLIPLAB_HOME"):
        return Path(from_environment).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("cliplab", appauthor=False))


@contextmanager
def storage_faults(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write at `path` into a `StorageError`."""
    try:
        yield
    except CliplabError:
        raise
    except OSError as error:
        if advice := _ADVICE.get(error.errno or 0):
            raise StorageError(error.errno, advice.format(path=path)) from error
        raise


_ELSEWHERE = "give another place with --home DIR or CLIPLAB_HOME (runs: --out DIR)"
_ADVICE = {
    errno.ENOSPC: "The disk is full at {path}. Free some space, or " + _ELSEWHERE + ". "
    "What was finished is kept; run the same command again to go on.",
    errno.EDQUOT: "The disk quota is used up at {path}. Free some space, or " + _ELSEWHERE + ". "
    "What was finished is kept; run the same command again to go on.",
    errno.EROFS: "{path} lies on a read-only file system: " + _ELSEWHERE + ".",
    errno.EACCES: "No permission to write at {path}: " + _ELSEWHERE + ".",
    errno.EPERM: "No permission to write at {path}: " + _ELSEWHERE + ".",
    errno.EEXIST: "{path} is to be a folder, and a file is in its place: " + _ELSEWHERE + ".",
    errno.ENOTDIR: "A file is in the place of a folder of {path}: " + _ELSEWHERE + ".",
}


def make_folder(path: Path) -> Path:
    """Create a folder with its parents, if need be; give it back."""
    with storage_faults(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a file beside `path` for writing; flush it to disk and rename it when the block ends.

    A file that is at `path` is therefore whole. When the block raises, or the disk refuses, what
    was there before is untouched and the half-written file is removed.
    """
    make_folder(path.parent)
    with storage_faults(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).chmod(0o666 & ~_umask())
            Path(name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file atomically."""
    with atomic_write(path) as stream:
        stream.write(content)


def write_json(path: Path, value: object) -> None:
    """Write JSON atomically: UTF-8, two spaces, keys in the order given; NaN is refused."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, text.encode() + b"\n")


def read_json(path: Path, known_version: int | None = None) -> Any:
    """Read JSON; with `known_version`, refuse a `format_version` newer than that."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(
            f"{path} is not valid JSON ({error}). Remove it and run the command that made it again."
        ) from error
    if known_version is not None and isinstance(value, dict):
        found = value.get("format_version", 0)
        if not isinstance(found, int) or found > known_version:
            raise FormatTooNew(path, found, known_version)
    return value


@contextmanager
def locked(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock of a folder or file (`path` + `.lock`); a second process waits for the first.

    `waiting` is called once if another process holds it.
    """
    make_folder(path.parent)
    lock = FileLock(path.with_name(path.name + ".lock"))
    with storage_faults(path):
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if waiting:
                waiting()
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def sweep_parts(folder: Path, name: str = "*") -> None:
    """Remove the half-written files that a killed process left in `folder`; hold its lock first.

    With `name`, only those of that file, whose lock is held then.
    """
    for leftover in folder.glob(f".{name}.*.part"):
        with suppress(OSError):
            leftover.unlink()
