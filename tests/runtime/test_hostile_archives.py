"""Archives that mean harm: each is refused or skipped by name, and writes nothing anywhere."""

from __future__ import annotations

import gzip
import os
import random
import re
import stat
import struct
import sys
import tarfile
import zlib
from contextlib import contextmanager

import numpy as np
import pytest
from tests.runtime.hostile import (
    GOOD,
    UTF8,
    Entry,
    header,
    make_tar,
    make_tgz,
    make_zip,
    special,
)

from cliplab.datasets.archived import ArchivePictures
from cliplab.datasets.prepare import prepare
from cliplab.nouns import Dataset, Task
from cliplab.runtime.archives import Limits, list_members
from cliplab.runtime.errors import DataError

ZEROS = b"\0" * (20 << 20)
BLANK = b"\0" * 1024

REFUSED = {
    # a zip's, by name
    "absolute": (make_zip(Entry("/etc/passwd")), "/etc/passwd", "its path is absolute"),
    "drive": (make_zip(Entry("C:/a.jpg")), "C:/a.jpg", "its path is absolute"),
    "up": (make_zip(Entry("../../a.jpg")), "../../a.jpg", r"leads out of the archive \('\.\.'\)"),
    "up inside": (make_zip(Entry("a/../../b.jpg")), "a/../../b.jpg", "leads out of the archive"),
    "backslash": (make_zip(Entry("..\\..\\a.jpg")), "..\\..\\a.jpg", "a backslash in its name"),
    "NUL": (make_zip(Entry(b"a.jpg\0.txt")), "a.jpg\\x00.txt", "a NUL byte in its name"),
    "escape": (make_zip(Entry("a\x1b[2J.jpg")), "a\\x1b[2J.jpg", "a control character in its name"),
    "newline": (make_zip(Entry("a\nb.jpg")), "a\\x0ab.jpg", "a control character in its name"),
    "no name": (make_zip(Entry("")), "", "it has no name"),
    "dot": (make_zip(Entry(".")), ".", "it has no name"),
    "link": (make_zip(Entry("l.jpg", mode=stat.S_IFLNK | 0o777)), "l.jpg", "a link"),
    "device": (make_zip(Entry("d", mode=stat.S_IFCHR | 0o666)), "d", "a device or pipe"),
    "pipe": (make_zip(Entry("p", mode=stat.S_IFIFO | 0o666)), "p", "a device or pipe"),
    "double": (make_zip(Entry("a"), Entry("a", b"b")), "a", "more than once; the first one is tak"),
    "double by form": (
        make_zip(Entry("e\u0301.jpg"), Entry("\u00e9.jpg")),
        "\u00e9.jpg",
        "more than once",
    ),
    "double by dots": (make_zip(Entry("a/b"), Entry("a/./b")), "a/./b", "more than once"),
    "encrypted": (make_zip(Entry("a", flags=UTF8 | 1)), "a", "encrypted"),
    "strongly encrypted": (make_zip(Entry("a", flags=UTF8 | 0x41)), "a", "encrypted"),
    "bomb": (
        make_zip(Entry("bomb.jpg", ZEROS)),
        "bomb.jpg",
        r"unfolds from [\d,]+ to 20,971,520 bytes, more than 250 times \(CLIPLAB_MAX_RATIO raises",
    ),
    "too large": (
        make_zip(Entry("a", size=400_000_000)),
        "a",
        r"400,000,000 bytes are more than the limit of 268,435,456 \(CLIPLAB_MAX_MEMBER_SIZE",
    ),
    "zip64 and too large": (
        make_zip(Entry("a", size=0xFFFFFFFF, extra=struct.pack("<HHQ", 1, 8, 1 << 50))),
        "a",
        "1,125,899,906,842,624 bytes are more than the limit",
    ),
    "overlapping": (
        make_zip(Entry("a"), Entry("b", offset=0, is_written=False)),
        "b",
        "overlap with those of another file, as in a zip bomb",
    ),
    "quoting": (
        make_zip(
            Entry("outer", b"PK\x03\x04" + b"x" * 400, method=0),
            Entry("inner", offset=35, is_written=False),
        ),
        "outer",
        "overlap with those of another file",
    ),
    "beyond the end": (
        make_zip(Entry("a", offset=5_000, is_written=False)),
        "a",
        "reaches beyond the end of the archive",
    ),
    "packed beyond the end": (
        make_zip(Entry("a", packed_size=9_999), Entry("b")),
        "a",
        "reaches beyond the end",
    ),
    "LZMA": (make_zip(Entry("a", method=14)), "a", r"by method 14 \(LZMA\), which is not read"),
    "AES": (make_zip(Entry("a", method=99)), "a", r"by method 99 \(AES\)"),
    "method 77": (make_zip(Entry("a", method=77)), "a", r"by method 77 \(unknown\)"),
    "stored and lying": (
        make_zip(Entry("a", method=0, size=5)),
        "a",
        "stored as 160 bytes and said to be 5",
    ),
    # a tar's
    "tar: absolute": (make_tar(("/etc/passwd", b"x")), "/etc/passwd", "its path is absolute"),
    "tar: up": (make_tgz(("../a.jpg", b"x")), "../a.jpg", "leads out of the archive"),
    "tar: backslash": (make_tar(("..\\a", b"x")), "..\\a", "a backslash in its name"),
    "tar: newline": (make_tgz(("a\nb", b"x")), "a\\x0ab", "a control character"),
    "tar: link": (make_tgz(special("l", tarfile.SYMTYPE, "/etc/passwd")), "l", "a link"),
    "tar: hard link": (make_tar(special("l", tarfile.LNKTYPE, "../x")), "l", "a link"),
    "tar: device": (make_tar(special("d", tarfile.CHRTYPE)), "d", "a device or pipe"),
    "tar: block device": (make_tgz(special("d", tarfile.BLKTYPE)), "d", "a device or pipe"),
    "tar: pipe": (make_tar(special("p", tarfile.FIFOTYPE)), "p", "a device or pipe"),
    "tar: double": (make_tgz(("a", b"x"), ("./a", b"y")), "./a", "more than once; the first one"),
    "tar: sparse": (
        make_tar(special("s", tarfile.GNUTYPE_SPARSE), format=tarfile.GNU_FORMAT),
        "s",
        "a sparse file",
    ),
}

NOT_READ = {
    "cut short": (make_zip(Entry("a"))[:-30], "is a zip cut short, or damaged: its directory"),
    "cut to a header": (make_zip(Entry("a"))[:40], "is a zip cut short, or damaged"),
    "damaged directory": (
        make_zip(Entry("a")).replace(b"PK\x01\x02", b"PK\xff\xff"),
        "its directory, which stands at its end, cannot be read",
    ),
    "name that is not UTF-8": (
        make_zip(Entry(b"caf\xe9.jpg")),
        r"the name b'caf\\xe9\.jpg' is marked as UTF-8, which it is not",
    ),
    "version to come": (make_zip(Entry("a", version=99)), r"zip file version 9\.9"),
    "page": (b"<!DOCTYPE html><html>Log in", "is an HTML page .* expected a zip, tar or tar.gz"),
    "page after a blank": (b"\n <html><head>", "is an HTML page"),
    "empty": (b"", "is an empty file"),
    "RAR": (b"Rar!\x1a\x07\x00" + BLANK, "is a RAR archive; expected a zip"),
    "7-Zip": (b"7z\xbc\xaf\x27\x1c" + BLANK, "is a 7-Zip archive"),
    "xz": (b"\xfd7zXZ\x00" + BLANK, "is compressed by xz"),
    "text": (b"just a text\n" * 100, "in no format that is known here"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
    "tar: cut": (make_tar(("a", b"x" * 3000))[:2000], "is cut short or damaged"),
    "tar: cut between members": (
        make_tar(("a", b"x" * 512), ("b", b"y"))[:1024],
        "ends without the mark of its end",
    ),
    "tar: damaged header": (
        make_tar(("a", b"x"), ("b", b"y"))[:1100] + b"?" * 20 + make_tar(("b", b"y"))[96:],
        "no header at byte 1,024, where one should be",
    ),
    "tar.gz: cut": (make_tgz(("a", np.random.default_rng(0).bytes(5000)))[:-40], "is cut short"),
    "tar.gz: wrong checksum": (
        make_tgz(("a", b"x"))[:-8] + b"\0\0\0\0" + make_tgz(("a", b"x"))[-4:],
        r"is cut short or damaged \(CRC check failed",
    ),
    "tar.gz: damaged": (
        b"\x1f\x8b\x08\x00" + b"\xff" * 200,
        "is cut short or damaged",
    ),
    "tar.gz: no tar inside": (gzip.compress(b"not a tar " * 200), "is cut short or damaged"),
    "tar.gz: bomb": (
        make_tgz(("a", b"x"), ("zeros", ZEROS)),
        r"unfolds to more than 250 times its size, as a bomb does \(CLIPLAB_MAX_RATIO",
    ),
    "tar.gz: bomb after the end": (
        gzip.compress(make_tar(("a", b"x")) + b"\0" * (40 << 20)),
        "unfolds to more than 250 times its size",
    ),
    "tar: larger than it is": (header("a", 1 << 33) + b"x" * 512, "is cut short or damaged"),
    "tar.gz: larger than it is": (
        gzip.compress(header("a", 1 << 40) + b"x" * 512),
        "unfolds to more than 250 times its size",
    ),
    "tar: backward": (header("a", -1024) + BLANK, "is cut short or damaged"),
    "tar: backward again": (
        make_tar(("a", b"x"), good=False)[:1024] + header("b", -512) + BLANK,
        "a header that leads backward, 'b'",
    ),
    "tar: a name of gigabytes": (
        header("././@LongLink", 1 << 34, tarfile.GNUTYPE_LONGNAME) + BLANK,
        "a header of 17,179,869,184 bytes",
    ),
    "tar: a pax header of gigabytes": (
        header("pax", 1 << 34, tarfile.XHDTYPE) + BLANK,
        "a header of 17,179,869,184 bytes",
    ),
    "tar: headers without end": (
        (header("././@LongLink", 2, tarfile.GNUTYPE_LONGNAME) + b"a\0".ljust(512, b"\0")) * 3000,
        "is cut short or damaged",
    ),
}

BAD_CONTENTS = {
    "wrong CRC": (make_zip(Entry("a", crc=1)), "a in archive is damaged: its CRC is wrong"),
    "wrong CRC, stored": (make_zip(Entry("a", method=0, crc=1)), "its CRC is wrong"),
    "more than stated": (
        make_zip(Entry("a", size=100)),
        "a in archive unfolds to more than the 100 bytes that the archive states",
    ),
    "a bomb that states little": (
        make_zip(Entry("a", ZEROS, size=1000)),
        "unfolds to more than the 1,000 bytes",
    ),
    "fewer than stated": (
        make_zip(Entry("a", size=1000)),
        "a in archive holds 160 bytes; the archive states 1,000",
    ),
    "damaged": (make_zip(Entry("a", packed=b"\xff" * 50)), "a in archive is damaged: Error -3"),
    "cut inside": (
        make_zip(Entry("a", packed=zlib.compress(b"content " * 20)[2:9])),
        "a in archive holds .* bytes; the archive states 160|is damaged",
    ),
    "no header there": (
        make_zip(Entry("a", offset=2, is_written=False), prefix=b"x" * 50 + b"PK"),
        "a in archive has no header where the directory says",
    ),
}

FINE = {
    "after a program": (make_zip(Entry("a.jpg"), prefix=b"#!/bin/sh\nexit\n"), "a.jpg"),
    "code page 437": (make_zip(Entry(b"caf\x82.jpg", flags=0)), "caf\u00e9.jpg"),
    "UTF-8 that is not flagged": (make_zip(Entry("caf\u00e9.jpg", flags=0)), "caf\u00e9.jpg"),
    "a Unicode path beside": (
        make_zip(
            Entry(
                b"caf_.jpg",
                flags=0,
                extra=struct.pack("<HHBI", 0x7075, 14, 1, zlib.crc32(b"caf_.jpg"))
                + "caf\u00e9.jpg".encode(),
            )
        ),
        "caf\u00e9.jpg",
    ),
    "decomposed": (make_zip(Entry("cafe\u0301.jpg")), "caf\u00e9.jpg"),
    "dots and slashes": (make_zip(Entry("./a//b/./c.jpg")), "a/b/c.jpg"),
    "zip64": (
        make_zip(Entry("a.jpg", size=0xFFFFFFFF, extra=struct.pack("<HHQ", 1, 8, 160))),
        "a.jpg",
    ),
    "a name of other bytes in a tar": (
        make_tar(("caf\udce9.jpg", b"x"), encoding="utf-8", errors="surrogateescape"),
        "caf\\xe9.jpg",
    ),
    "a long name in a tar": (make_tgz(("d/" * 200 + "a.jpg", b"x")), "d/" * 200 + "a.jpg"),
}


@contextmanager
def writes_within(*folders):
    """Fail on any file, folder or link that is made outside of `folders`."""
    outside = []
    _watchers.append((outside, tuple(map(str, folders))))
    try:
        yield
    finally:
        _watchers.pop()
    assert outside == []


_watchers: list = []


def _watch(event, arguments):
    if not _watchers:
        return
    two = ("os.link", "os.symlink", "os.rename")
    is_write = event == "open" and _writes(*arguments)
    if is_write or event in ("os.mkdir", "os.mkfifo", "os.mknod", *two):
        found, allowed = _watchers[-1]
        place = os.fsdecode(arguments[1 if event in two else 0])
        if not place.startswith((*allowed, os.devnull)) and "__pycache__" not in place:
            found.append((event, place))


def _writes(path, mode, flags):
    if isinstance(path, int):  # a descriptor, whose opening was seen
        return False
    changing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    return bool(flags & changing) or bool(set(mode or "") & set("wax+"))


sys.addaudithook(_watch)


def prepared_from(path, home):
    """List the archive, and write all that it lists as a data set under `home`."""
    listing = list_members(path)
    members = [*listing.members, *listing.refused]
    count = len(members)
    dataset = Dataset(
        name="hostile",
        tasks={"label": Task("label", ("only",))},
        ids=np.array([f"{i}/{member.name}" for i, member in enumerate(members)], dtype=object),
        labels={"label": np.zeros(count, dtype=np.int64)},
        splits={"label": np.full(count, "test", dtype=object)},
        digests=np.full(count, "", dtype=object),
        source=ArchivePictures(members, {path.name: path}),
    )
    prepare(dataset, home=home)
    return listing


@pytest.fixture
def archive(tmp_path):
    def put(content):
        path = tmp_path / "archive"
        path.write_bytes(content)
        return path

    return put


def read(path, listing, name):
    rows = [member.name for member in listing.members]
    source = ArchivePictures(listing.members, {path.name: path})
    (callable_,) = source.open([rows.index(name)])
    return callable_()


@pytest.mark.parametrize("case", REFUSED)
def test_a_member_is_refused_by_name(case, archive, home, tmp_path):
    content, name, reason = REFUSED[case]
    path = archive(content)
    with writes_within(home):
        listing = prepared_from(path, home)
        assert read(path, listing, "good.jpg") == GOOD
    assert name in [refused.name for refused in listing.refused]
    reasons = [refused.reason for refused in listing.refused if refused.name == name]
    assert re.search(reason, reasons[-1]), reasons
    assert name not in [m.name for m in listing.members] or "more than once" in reasons[-1]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["archive", "home"]


@pytest.mark.parametrize("case", NOT_READ)
def test_an_archive_is_refused_as_a_whole(case, archive, home, tmp_path):
    content, said = NOT_READ[case]
    path = archive(content)
    with writes_within(home), pytest.raises(DataError, match=said) as caught:
        prepared_from(path, home)
    assert str(path) in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["archive"]


@pytest.mark.parametrize("case", BAD_CONTENTS)
def test_contents_are_checked_as_they_are_read(case, archive, home, tmp_path):
    content, said = BAD_CONTENTS[case]
    path = archive(content)
    with writes_within(home):
        listing = prepared_from(path, home)
        assert listing.refused == ()
        with pytest.raises(OSError, match=said):
            read(path, listing, "a")
        assert read(path, listing, "good.jpg") == GOOD
    assert sorted(p.name for p in tmp_path.iterdir()) == ["archive", "home"]


@pytest.mark.parametrize("case", FINE)
def test_what_only_looks_odd_is_read(case, archive, home):
    content, name = FINE[case]
    path = archive(content)
    with writes_within(home):
        listing = prepared_from(path, home)
    assert listing.refused == ()
    assert [member.name for member in listing.members] == [name, "good.jpg"]
    assert read(path, listing, name)
    assert read(path, listing, "good.jpg") == GOOD


def test_limits_are_raised_by_the_environment(archive, monkeypatch):
    path = archive(make_zip(Entry("bomb.jpg", ZEROS), Entry("b")))
    assert len(list_members(path).refused) == 1
    monkeypatch.setenv("CLIPLAB_MAX_RATIO", "100000")
    assert list_members(path).refused == ()
    monkeypatch.setenv("CLIPLAB_MAX_MEMBER_SIZE", "1000")
    assert "more than the limit of 1,000" in list_members(path).refused[0].reason
    monkeypatch.setenv("CLIPLAB_MAX_MEMBERS", "2")
    with pytest.raises(DataError, match=r"more than 2 files \(CLIPLAB_MAX_MEMBERS raises"):
        list_members(path)
    monkeypatch.setenv("CLIPLAB_MAX_RATIO", "lots")
    with pytest.raises(ValueError, match="CLIPLAB_MAX_RATIO=lots: give a whole number"):
        list_members(path)
    with pytest.raises(ValueError, match="1 or more"):
        Limits(ratio=0)


def test_the_watch_sees_a_write_outside(tmp_path):
    with pytest.raises(AssertionError), writes_within(tmp_path / "home"):
        (tmp_path / "outside").write_text("x")


@pytest.mark.parametrize("make", [make_zip, make_tar, make_tgz])
def test_damage_anywhere_ends_in_a_message(make, archive):
    """Bytes changed at random: listed or a DataError, read or an OSError, and nothing else."""
    members = [("a/1.jpg", b"abc" * 300), ("a/2.jpg", b"defg" * 200)]
    if make is make_zip:
        whole = make_zip(*[Entry(name, content) for name, content in members])
    else:
        whole = make(*members)
    chance, outcomes = random.Random(1), set()
    for _ in range(400):
        content = bytearray(whole)
        for _ in range(chance.choice((1, 1, 4))):
            content[chance.randrange(len(content))] = chance.randrange(256)
        path = archive(bytes(content[: chance.choice((len(content), chance.randrange(1, 3000)))]))
        try:
            listing = list_members(path)
        except DataError:
            outcomes.add("refused")
            continue
        for picture in ArchivePictures(listing.members, {"archive": path}).open(
            range(len(listing.members))
        ):
            try:
                picture()
                outcomes.add("read")
            except OSError:
                outcomes.add("bad")
    assert {"refused", "read"} <= outcomes
