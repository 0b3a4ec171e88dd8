"""Tar archives, plain or compressed by gzip: listed and read as one stream that runs forward."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from cliplab.runtime.archive_members import Gathered, Limits, Listing, Member
from cliplab.runtime.errors import CliplabError, DataError

_BLOCK = 512
_CHUNK = 1 << 20
_OF_HEADERS = (ValueError, OverflowError, RecursionError)  # what damaged ones make of `tarfile`


class TarStream:
    """The uncompressed bytes of a tar, read forward; going backward begins again at the start.

    `tarfile` reads through it, and is refused where the archive would unfold to too much.
    """

    def __init__(self, path: Path, limits: Limits, *, zipped: bool) -> None:
        self.path, self._limits = path, limits
        self._raw = path.open("rb")
        self._stream: IO[bytes] = (
            gzip.GzipFile(fileobj=self._raw, mode="rb") if zipped else self._raw  # type: ignore[assignment]
        )
        size = path.stat().st_size
        self._most = limits.most_from(size) if zipped else max(size, 1)
        self._zipped = zipped

    def read(self, count: int = -1) -> bytes:
        """Give the next `count` bytes, fewer at the end."""
        if not 0 <= count <= self._limits.member_size + _BLOCK:
            raise tarfile.ReadError(f"a header of {count:,} bytes")
        self._check(self.tell() + count)
        return self._stream.read(count)

    def seek(self, place: int, whence: int = 0) -> int:
        """Go to a byte of the uncompressed stream, counted from its start."""
        assert whence == 0
        self._check(place)
        return self._stream.seek(place)

    def tell(self) -> int:
        """Give the place in the uncompressed stream."""
        return self._stream.tell()

    def drain(self) -> None:
        """Read to the end, where gzip keeps its checksum."""
        while self._stream.read(_CHUNK):
            self._check(self.tell())

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        self._raw.close()

    def _check(self, place: int) -> None:
        # One chunk more, so that a well-meant read beyond the end is not taken for a bomb.
        if self._zipped and place > self._most + _CHUNK:
            raise DataError(
                f"{self.path} unfolds to more than {self._limits.ratio} times its size, as a bomb "
                "does (CLIPLAB_MAX_RATIO raises the limit)."
            )


def is_gzip(path: Path) -> bool:
    """Whether a file begins as gzip does."""
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


@contextmanager
def tar_faults(path: Path) -> Iterator[None]:
    """Turn what is said of a damaged stream into a `DataError` that names the archive."""
    try:
        yield
    except CliplabError:
        raise
    except EOFError as error:
        raise DataError(f"{path} is cut short: gzip's end is missing. Fetch it again.") from error
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, *_OF_HEADERS) as error:
        raise DataError(f"{path} is cut short or damaged ({error}). Fetch it again.") from error


def list_tar(path: Path, limits: Limits) -> Listing:
    """List a tar by reading it through, which checks gzip's own checksum as well.

    Raises
    ------
    DataError
        If it is cut short, damaged, or unfolds to too much.
    """
    gathered = Gathered(path, limits)
    stream = TarStream(path, limits, zipped=is_gzip(path))
    try:
        with tar_faults(path):
            opened = tarfile.TarFile(
                fileobj=cast(IO[bytes], stream), encoding="utf-8", errors="surrogateescape"
            )
            place = -1
            while (info := opened.next()) is not None:
                if opened.offset <= place or info.size < 0:
                    raise tarfile.ReadError(f"a header that leads backward, {info.name!r}")
                place = opened.offset
                opened.members = []  # type: ignore[attr-defined]  # it would keep them all
                _gather(info, gathered)
            _check_end(stream, opened.offset)
            stream.drain()
    finally:
        stream.close()
    return gathered.listing()


def _gather(info: tarfile.TarInfo, gathered: Gathered) -> None:
    if info.isdir():
        return
    if info.issym() or info.islnk():
        gathered.refuse(info.name, "a link")
    elif info.issparse():
        gathered.refuse(info.name, "a sparse file")
    elif not info.isreg():
        gathered.refuse(info.name, "a device or pipe, not a file")
    else:
        place = (info.size, info.offset_data, info.size)
        gathered.add(info.name, Member(gathered.path.name, info.name, *place))


def _check_end(stream: TarStream, place: int) -> None:
    """See that the archive ends as one should: `tarfile` stops in silence at a damaged header."""
    stream.seek(place)
    block: Any = stream.read(_BLOCK)
    if not block:
        raise tarfile.ReadError("it ends without the mark of its end")
    if block.strip(b"\0"):
        raise tarfile.ReadError(f"no header at byte {place:,}, where one should be")


def read_tar_member(stream: TarStream, member: Member) -> bytes:
    """Give a member's contents; an `OSError` says what is wrong with them."""
    try:
        stream.seek(member.start)
        content = stream.read(member.size)
    except (EOFError, zlib.error, tarfile.TarError, DataError) as error:
        raise OSError(f"{member.name} in {member.archive} cannot be read: {error}") from error
    if len(content) < member.size:
        raise OSError(f"{member.name} in {member.archive} is cut short")
    return content
