"""One file over HTTP into a `.part` beside its place, gone on with after a cut, never glued wrong.

What was received is continued only if the server says that it still has the same file: by the
validator that it gave (If-Range, ETag, Last-Modified), by the same total size, and in the end by
the digest. A server that ignores ranges is asked from the start again.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cliplab.runtime.archives import is_page
from cliplab.runtime.errors import DataError, StorageError
from cliplab.runtime.patience import retry_after
from cliplab.runtime.progress import progress
from cliplab.runtime.storage import read_json, storage_faults, write_json

if TYPE_CHECKING:
    import httpx

CHUNK = 1 << 20  # bytes
FORMAT_VERSION = 1
_AGAIN = frozenset((408, 425, 429, 500, 502, 503, 504))
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


class Unavailable(Exception):
    """An address does not serve the file, and asking again would not help."""


class Interrupted(Exception):
    """A transfer ended early; it is worth trying again."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait  # seconds that the server asked for


class Wanted(NamedTuple):
    """What is known of the file before it is asked for."""

    name: str
    size: int | None
    algorithm: str  # of the digest that is computed: "md5", "sha256"
    has_digest: bool  # whether a digest is known, which makes sure in the end


class Part:
    """The bytes received so far of one file, their notes, and the digest as far as computed."""

    def __init__(self, target: Path, wanted: Wanted) -> None:
        self.path = target.with_name(target.name + ".part")
        self.notes_path = target.with_name(target.name + ".part.json")
        self._target, self._wanted = target, wanted
        self._hasher, self._hashed = hashlib.new(wanted.algorithm, usedforsecurity=False), 0

    @property
    def size(self) -> int:
        """Bytes received."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def notes(self) -> dict[str, Any]:
        """Give what the server said of the file when it was begun; {} if that is not known."""
        try:
            found = read_json(self.notes_path, FORMAT_VERSION)
        except (FileNotFoundError, DataError):
            return {}
        return found if isinstance(found, dict) else {}

    def begin(self, notes: dict[str, Any]) -> None:
        """Begin again at the first byte. The old bytes go before the new notes come."""
        self.forget()
        write_json(self.notes_path, {"format_version": FORMAT_VERSION, **notes})

    def forget(self) -> None:
        """Throw away what was received."""
        self.path.unlink(missing_ok=True)
        self.notes_path.unlink(missing_ok=True)
        self._hasher, self._hashed = _new(self._wanted.algorithm), 0

    @contextmanager
    def appending(self) -> Iterator[Any]:
        """Open the file at its end; what is written through `write` is hashed as well."""
        self._catch_up()
        with storage_faults(self.path), self.path.open("ab") as stream:

            def write(chunk: bytes) -> None:
                stream.write(chunk)
                self._hasher.update(chunk)
                self._hashed += len(chunk)

            try:
                yield write
            finally:
                stream.flush()

    def digest(self) -> str:
        """Hex digest of what was received, by the algorithm asked for."""
        self._catch_up()
        return self._hasher.hexdigest()

    def finish(self) -> None:
        """Flush it to the disk and rename it to its place."""
        with storage_faults(self._target):
            with self.path.open("rb+") as stream:
                os.fsync(stream.fileno())
            self.path.replace(self._target)
            self.notes_path.unlink(missing_ok=True)

    def _catch_up(self) -> None:
        """Hash what an earlier process received, or what was written and not counted."""
        if self._hashed == self.size:
            return
        self._hasher, self._hashed = _new(self._wanted.algorithm), 0
        with self.path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                self._hasher.update(chunk)
                self._hashed += len(chunk)


def _new(algorithm: str) -> Any:
    return hashlib.new(algorithm, usedforsecurity=False)


def transfer(client: httpx.Client, url: str, part: Part, wanted: Wanted) -> None:
    """Ask one address once for what `part` lacks; when it returns, `part` is as long as it should.

    Raises
    ------
    Unavailable, Interrupted
        If the address serves something else, or the connection was lost.
    StorageError
        If there is not enough space; before the first byte.
    """
    offset = _offset(url, part, wanted)
    headers = {"Accept-Encoding": "identity"}
    if offset:
        notes = part.notes()
        if offset == (notes.get("size") or wanted.size):
            return
        headers["Range"] = f"bytes={offset}-"
        if notes.get("url") == url and (validator := _validator(notes)):
            headers["If-Range"] = validator
    with _network_faults(), client.stream("GET", url, headers=headers) as response:
        _check_status(response)
        _refuse_page(response, wanted)
        if response.status_code == 416 and _content_range(response)[1] == offset:
            return  # all of it was here; nobody had said how long it is
        total = _begun(response, url, part, wanted, offset)
        _check_space(part, total)
        _receive(response, part, wanted, total)


def stated_size(client: httpx.Client, url: str, name: str) -> int | None:
    """Ask an address how long its file is; None where it does not say. Nothing is downloaded.

    Raises
    ------
    Unavailable
        If it does not serve the file; the message says what it does.
    """
    wanted = Wanted(name, None, "sha256", has_digest=False)
    try:
        for method in ("HEAD", "GET"):  # some servers refuse the first
            headers = {"Accept-Encoding": "identity"}
            with _network_faults(), client.stream(method, url, headers=headers) as response:
                if method == "HEAD" and response.status_code >= 400:
                    continue
                _check_status(response)
                _refuse_page(response, wanted)
                stated = response.headers.get("Content-Length", "")
                return int(stated) if stated.isdecimal() else None
    except Interrupted as error:
        raise Unavailable(str(error)) from error
    raise AssertionError("the last method either answers or raises")


def _offset(url: str, part: Part, wanted: Wanted) -> int:
    """Give the byte at which to go on; 0 where what was received cannot be trusted to fit."""
    size, notes = part.size, part.notes()
    if not size or not notes:
        return 0
    if wanted.size is not None and size > wanted.size:
        return 0
    is_known = bool(_validator(notes) or notes.get("size") or wanted.size)
    is_same_place = notes.get("url") == url and is_known
    return size if is_same_place or wanted.has_digest else 0


def _validator(notes: dict[str, Any]) -> str | None:
    """Give a strong ETag, else the date of change: what If-Range may carry (RFC 9110, 13.1.5)."""
    etag = notes.get("etag")
    if isinstance(etag, str) and not etag.startswith("W/"):
        return etag
    changed = notes.get("last_modified")
    return changed if isinstance(changed, str) else None


def _check_status(response: httpx.Response) -> None:
    code = response.status_code
    if code in (200, 206, 416):
        return
    said = f"answers {code} {response.reason_phrase}".rstrip()
    if code in _AGAIN:
        raise Interrupted(said, retry_after(response.headers.get("Retry-After")))
    raise Unavailable(said)


def _refuse_page(response: httpx.Response, wanted: Wanted) -> None:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml") and not wanted.name.endswith(".html"):
        raise Unavailable(_page_at(response))


def _page_at(response: httpx.Response) -> str:
    return (
        f"serves an HTML page in place of the file (from {response.url.host}): a network that "
        "wants a login in the browser first, or a page that tells of an error"
    )


def _begun(
    response: httpx.Response, url: str, part: Part, wanted: Wanted, offset: int
) -> int | None:
    """Make `part` ready for the body that comes; give the total size, None if nobody says it."""
    headers = response.headers
    given = {"etag": headers.get("ETag"), "last_modified": headers.get("Last-Modified")}
    if response.status_code == 200:
        stated = headers.get("Content-Length", "")
        total = int(stated) if stated.isdecimal() else None
        _refuse_size(response, total, wanted)
        part.begin({"url": url, **given, "size": total})
        return total
    first, total = _content_range(response)
    if response.status_code == 416:
        part.forget()
        raise Interrupted("does not go on where the last transfer ended; beginning again")
    _refuse_size(response, total, wanted)
    notes = part.notes()
    same = notes.get("url") != url or all(
        not value or not notes.get(key) or value == notes[key] for key, value in given.items()
    )
    if first != offset or not same or (total and notes.get("size") not in (None, total)):
        part.forget()
        raise Interrupted("has another file now than when the download began; beginning again")
    return total


def _content_range(response: httpx.Response) -> tuple[int | None, int | None]:
    """First byte and total size from Content-Range; None where it does not say."""
    found = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    if not found:
        return None, None
    first, _last, total = found.groups()
    return None if first is None else int(first), None if total == "*" else int(total)


def _refuse_size(response: httpx.Response, total: int | None, wanted: Wanted) -> None:
    if total is None or wanted.size in (None, total):
        return
    if is_page(next(response.iter_raw(), b"")[:2048]):
        raise Unavailable(_page_at(response))
    raise Unavailable(f"has {total:,} bytes, expected {wanted.size:,}: it is another file")


def _check_space(part: Part, total: int | None) -> None:
    if total is None:
        return
    check_space(part.path.parent, total - part.size, part.path.name.removesuffix(".part"))


def check_space(folder: Path, needed: int, what: str) -> None:
    """Raise a `StorageError` unless `folder` has room for `needed` bytes."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StorageError(
            f"{what} takes {needed / 1e9:,.1f} GB and {folder} has {free / 1e9:,.1f} GB free. "
            "Free some space, or give another place with --home DIR or CLIPLAB_HOME."
        )


def _receive(response: httpx.Response, part: Part, wanted: Wanted, total: int | None) -> None:
    size, most = part.size, wanted.size or total
    bar = progress(f"Fetching {wanted.name}", most or 0, unit="bytes", done=size)
    with part.appending() as write, bar as advance:
        for chunk in response.iter_raw():  # as it comes, so that a cut costs nothing
            if not size and is_page(chunk[:2048]) and not wanted.name.endswith(".html"):
                raise Unavailable(_page_at(response))
            size += len(chunk)
            if most is not None and size > most:
                break
            write(chunk)
            advance(len(chunk))
    if most is not None and size > most:
        part.forget()
        raise Unavailable(f"sends more than the expected {most:,} bytes: it is another file")
    if most is not None and size < most:
        if size == total:  # the whole of something shorter than what is expected
            part.forget()
            raise Unavailable(f"sends {size:,} bytes, expected {most:,}: it is another file")
        raise Interrupted(f"the connection was lost after {size:,} of {most:,} bytes")


@contextmanager
def _network_faults() -> Iterator[None]:
    """Sort what goes wrong on the way into what is worth another attempt and what is not."""
    import httpx

    try:
        yield
    except httpx.TimeoutException as error:
        raise Interrupted("nothing came for too long (timeout)") from error
    except httpx.TooManyRedirects as error:
        raise Unavailable("redirects too many times, in a circle perhaps") from error
    except httpx.TransportError as error:
        said = " ".join(str(error).split()) or type(error).__name__
        if "CERTIFICATE_VERIFY_FAILED" in said:
            raise Unavailable(
                "its certificate is not trusted: the network or its login page stands between, or "
                "this machine's clock is wrong"
            ) from error
        if isinstance(error, httpx.UnsupportedProtocol):
            raise Unavailable(f"cannot be asked ({said})") from error
        raise Interrupted(f"the connection was lost or refused ({said})") from error
    except httpx.InvalidURL as error:
        raise Unavailable(f"is no address ({error})") from error
