"""Zip archives: their directory, and one member's bytes, checked as they are unfolded."""

from __future__ import annotations

import bz2
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cliplab.runtime.archive_members import Gathered, Limits, Listing, Member
from cliplab.runtime.errors import DataError

STORED, DEFLATED, BZIP2 = 0, 8, 12
_METHODS = {
    **{1: "Shrink", 6: "Implode", 9: "Deflate64", 14: "LZMA", 93: "Zstandard", 95: "XZ"},
    **{96: "JPEG", 97: "WavPack", 98: "PPMd", 99: "AES"},
}
_HEADER = struct.Struct("<4s5H3I2H")  # APPNOTE 4.3.7, the local file header
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000  # APPNOTE 4.4.4: encrypted, strongly, its header masked
_UTF8 = 0x0800
_UNICODE_PATH = 0x7075  # APPNOTE 4.6.9


def list_zip(path: Path, limits: Limits) -> Listing:
    """List a zip by its directory, in the order of the members' places in the file.

    Raises
    ------
    DataError
        If there is no directory at the end (the file is cut short), or it is damaged.
    """
    gathered = Gathered(path, limits)
    try:
        with zipfile.ZipFile(path) as opened:
            infos = sorted(opened.infolist(), key=lambda info: info.header_offset)
            end = int(opened.start_dir)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: the name {bytes(error.object)!r} is marked as UTF-8, which it is not: the "
            "directory of the archive is damaged. Fetch it again."
        ) from error
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise DataError(
            f"{path} is a zip cut short, or damaged: its directory, which stands at its end, "
            f"cannot be read ({error}). Fetch it again."
        ) from error
    overlapping = _overlapping([info for info in infos if _end(info) <= end])
    for info in infos:
        _gather(info, _end(info) > end, info.header_offset in overlapping, gathered)
    return gathered.listing()


def _gather(info: zipfile.ZipInfo, is_beyond: bool, overlaps: bool, gathered: Gathered) -> None:
    name = _name(info)
    mode = info.external_attr >> 16
    if name.endswith("/") or stat.S_ISDIR(mode):
        return
    reason = _refusal(info, mode)
    if reason is None and is_beyond:
        reason = "it reaches beyond the end of the archive"
    if reason is None and overlaps:
        reason = "its bytes overlap with those of another file, as in a zip bomb"
    if reason:
        gathered.refuse(name, reason)
        return
    place = (info.header_offset, info.compress_size, info.compress_type, info.CRC)
    gathered.add(name, Member(gathered.path.name, name, info.file_size, *place))


def _refusal(info: zipfile.ZipInfo, mode: int) -> str | None:
    if stat.S_ISLNK(mode):
        return "a link"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "a device or pipe, not a file"
    if info.flag_bits & _ENCRYPTED:
        return "encrypted"
    if info.compress_type not in (STORED, DEFLATED, BZIP2):
        method = _METHODS.get(info.compress_type, "unknown")
        return f"compressed by method {info.compress_type} ({method}), which is not read here"
    if info.compress_type == STORED and info.compress_size != info.file_size:
        return f"stored as {info.compress_size:,} bytes and said to be {info.file_size:,}"
    return None


def _name(info: zipfile.ZipInfo) -> str:
    """Give a member's name: UTF-8 where its bytes are that, flagged or not; else code page 437."""
    if info.flag_bits & _UTF8:
        return info.orig_filename
    raw = info.orig_filename.encode("cp437")
    for kind, data in _extra_fields(info.extra):
        if kind == _UNICODE_PATH and data[1:5] == struct.pack("<I", zlib.crc32(raw)):
            raw = data[5:]
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return info.orig_filename


def _extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        yield kind, extra[at + 4 : at + 4 + size]
        at += 4 + size


def _end(info: zipfile.ZipInfo) -> int:
    """Byte after the last one that a member takes at the least: its name is not counted."""
    return info.header_offset + _HEADER.size + info.compress_size


def _overlapping(infos: list[zipfile.ZipInfo]) -> set[int]:
    """Offsets of the members whose bytes overlap with another's; `infos` are in order of offset."""
    found, furthest, owner = set(), 0, 0
    for info in infos:
        if info.header_offset < furthest:
            found |= {owner, info.header_offset}
        if _end(info) > furthest:
            furthest, owner = _end(info), info.header_offset
    return found


def read_zip_member(path: Path, member: Member) -> bytes:
    """Give a member's contents; an `OSError` says what is wrong with them.

    No more than the stated size is ever unfolded, and the CRC-32 is compared.
    """
    packed = _packed(path, member)
    content = _unfolded(packed, member)
    if zlib.crc32(content) != member.crc:
        raise OSError(f"{member.name} in {path.name} is damaged: its CRC is wrong")
    return content


def _packed(path: Path, member: Member) -> bytes:
    with path.open("rb") as stream:
        stream.seek(member.start)
        header = stream.read(_HEADER.size)
        if len(header) < _HEADER.size or header[:4] != b"PK\x03\x04":
            raise OSError(f"{member.name} in {path.name} has no header where the directory says")
        name_size, extra_size = _HEADER.unpack(header)[-2:]
        stream.seek(name_size + extra_size, 1)
        packed = stream.read(member.packed)
    if len(packed) < member.packed:
        raise OSError(f"{member.name} in {path.name} is cut short")
    return packed


def _unfolded(packed: bytes, member: Member) -> bytes:
    if member.method == STORED:
        return packed
    unfolder: Any = zlib.decompressobj(-15) if member.method == DEFLATED else bz2.BZ2Decompressor()
    try:
        content = bytes(unfolder.decompress(packed, member.size + 1))
    except (zlib.error, OSError, EOFError) as error:
        raise OSError(f"{member.name} in {member.archive} is damaged: {error}") from error
    if len(content) > member.size:
        raise OSError(
            f"{member.name} in {member.archive} unfolds to more than the {member.size:,} bytes "
            "that the archive states"
        )
    if len(content) < member.size:
        raise OSError(
            f"{member.name} in {member.archive} holds {len(content):,} bytes; the archive states "
            f"{member.size:,}"
        )
    return content
