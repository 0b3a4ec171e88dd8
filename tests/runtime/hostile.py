"""Zip and tar archives written byte by byte, so that each of their fields can lie."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zlib
from dataclasses import dataclass

UTF8 = 0x0800
GOOD = b"good bytes, read whatever stands beside them"


@dataclass
class Entry:
    """One file of a zip; what is None is what is true."""

    name: bytes | str
    content: bytes = b"content " * 20
    method: int = 8
    flags: int = UTF8
    mode: int = 0
    crc: int | None = None
    size: int | None = None
    packed: bytes | None = None  # the bytes as they stand in the file
    packed_size: int | None = None
    offset: int | None = None
    extra: bytes = b""
    version: int = 20
    is_written: bool = True

    @property
    def raw_name(self) -> bytes:
        return self.name.encode() if isinstance(self.name, str) else self.name

    def body(self) -> bytes:
        if self.packed is not None:
            return self.packed
        if self.method != 8:
            return self.content
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(self.content) + packer.flush()

    def fields(self) -> bytes:
        """The fields that both headers share: version to the lengths of name and extra."""
        crc = zlib.crc32(self.content) if self.crc is None else self.crc
        size = len(self.content) if self.size is None else self.size
        packed = len(self.body()) if self.packed_size is None else self.packed_size
        lengths = (len(self.raw_name), len(self.extra))
        times = (0, 33)
        return struct.pack(
            "<HHHHHIIIHH",
            self.version,
            self.flags,
            self.method,
            *times,
            crc,
            packed,
            size,
            *lengths,
        )


def make_zip(*entries: Entry, good: bool = True, prefix: bytes = b"") -> bytes:
    """A zip of these entries and, last, of `good.jpg`."""
    if good:
        entries = (*entries, Entry("good.jpg", GOOD, method=0))
    stream, directory = io.BytesIO(prefix), b""
    stream.seek(0, 2)
    for entry in entries:
        offset = stream.tell() if entry.offset is None else entry.offset
        if entry.is_written:
            header = b"PK\x03\x04" + entry.fields() + entry.raw_name + entry.extra
            stream.write(header + entry.body())
        tail = struct.pack("<HHHII", 0, 0, 0, entry.mode << 16, offset)
        made_by = struct.pack("<H", 0x0314)
        directory += b"PK\x01\x02" + made_by + entry.fields() + tail + entry.raw_name + entry.extra
    start = stream.tell()
    count = len(entries)
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), start, 0)
    return stream.getvalue() + directory + b"PK\x05\x06" + end


def make_tar(*infos: tarfile.TarInfo | tuple[str, bytes], good: bool = True, **options) -> bytes:
    """A tar of these members and, last, of `good.jpg`."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", **options) as archive:
        for given in (*infos, ("good.jpg", GOOD)) if good else infos:
            info, content = given if isinstance(given, tuple) else (given, b"")
            info = tarfile.TarInfo(info) if isinstance(info, str) else info
            info.size = len(content) or info.size
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def make_tgz(*infos, **options) -> bytes:
    return gzip.compress(make_tar(*infos, **options), 6)


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    """A member that is no file."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A tar header alone, whatever it says of its size."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)
