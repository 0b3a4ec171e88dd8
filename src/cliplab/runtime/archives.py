"""Archives read as streams: zip, tar and tar.gz, told apart by content; none is unpacked.

An archive is not trusted. What it lists is checked before a byte of it is used: a file with a
harmful name, a link, a device, a double, an encrypted or overlapping one, one that would unfold to
too much is refused with its name and the reason; the others can be read.
"""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

from cliplab.runtime.archive_members import Limits, Listing, Member, Refused
from cliplab.runtime.archives_tar import TarStream, is_gzip, list_tar, read_tar_member
from cliplab.runtime.archives_zip import list_zip, read_zip_member
from cliplab.runtime.errors import DataError

_OTHERS = (
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"BZh", "compressed by bzip2"),
    (b"\xfd7zXZ\x00", "compressed by xz"),
    (b"\x28\xb5\x2f\xfd", "compressed by Zstandard"),
    (b"%PDF-", "a PDF file"),
    (b"version https://git-lfs", "a Git LFS pointer, not the archive itself"),
)
_PAGES = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<body", b"<!--", b"<script")


def list_members(path: Path, *, limits: Limits | None = None) -> Listing:
    """List the files in an archive, in the order in which it holds them.

    Parameters
    ----------
    path
        A .zip, .tar or .tar.gz, whatever it is called. A tar.gz is read through (and its checksum
        compared), a zip at its end alone.
    limits
        How much it may unfold to; by default as the environment says (`Limits.of_environment`).

    Returns
    -------
    Listing
        Its members, and those that are refused with the reason. Folders are in neither.

    Raises
    ------
    DataError
        If the file is missing, no archive, cut short or damaged; the message says what it is.
    """
    limits = limits or Limits.of_environment()
    try:
        return list_zip(path, limits) if _is_zip(path) else list_tar(path, limits)
    except FileNotFoundError as error:
        raise DataError(f"{path} is not there; an archive is expected.") from error


def read_member(path: Path, member: Member) -> bytes:
    """Give the contents of one member of the archive at `path`; of pictures, see `ArchivePictures`.

    From a tar.gz all that stands before it is read as well. An `OSError` says what is wrong.
    """
    if is_zip_member(member):
        return read_zip_member(path, member)
    stream = open_tar(path)
    try:
        return read_tar_member(stream, member)
    finally:
        stream.close()


def is_zip_member(member: Member) -> bool:
    """Whether a member stands in a zip, from which it is read at once, in any order."""
    return member.crc is not None


def open_tar(path: Path) -> TarStream:
    """Open a tar or tar.gz to read members forward with `read_tar_member`; close it in the end."""
    return TarStream(path, Limits.of_environment(), zipped=is_gzip(path))


def what_it_is(head: bytes) -> str:
    """Name a file that is no archive by its first kilobytes, in a few words.

    >>> what_it_is(b"<!DOCTYPE html><title>Log in")
    'an HTML page (a login or error page of the network in its place?)'
    """
    if not head:
        return "an empty file"
    if is_page(head):
        return "an HTML page (a login or error page of the network in its place?)"
    named = next((name for start, name in _OTHERS if head.startswith(start)), None)
    return named or "in no format that is known here"


def is_page(head: bytes) -> bool:
    """Whether a file begins as an HTML page (or XML) does."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n")[:9].lower().startswith(_PAGES)


def _is_zip(path: Path) -> bool:
    """Tell a zip from a tar; a `DataError` if it is neither."""
    with path.open("rb") as stream:
        head = stream.read(2048)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return True
    if head.startswith(b"\x1f\x8b") or _is_tar_header(head):
        return False
    if zipfile.is_zipfile(path):  # with something else before it
        return True
    raise DataError(f"{path} is {what_it_is(head)}; expected a zip, tar or tar.gz. Fetch it again.")


def _is_tar_header(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head[:512], "utf-8", "surrogateescape")
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
        return len(head) >= 1024 and not head[:1024].strip(b"\0")  # an empty tar
    except tarfile.HeaderError:
        return False
    return True


__all__ = [
    "Limits",
    "Listing",
    "Member",
    "Refused",
    "TarStream",
    "is_page",
    "is_zip_member",
    "list_members",
    "open_tar",
    "read_member",
    "read_tar_member",
    "what_it_is",
]
