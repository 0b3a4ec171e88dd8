"""Pictures read out of archives: any order, any thread, checked, bounded."""

from __future__ import annotations

import gzip
import io
import tarfile
import threading
import zipfile

import numpy as np
import pytest

from cliplab.datasets.archived import ArchivePictures
from cliplab.datasets.shards import SizedSource
from cliplab.runtime.archives import Refused, list_members

CONTENTS = {f"cats/{i}.jpg": np.random.default_rng(i).bytes(500 + i) for i in range(8)}


def zip_of(path, contents):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def tar_of(path, contents, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture(params=["zip", "tar", "tar.gz"])
def archive(request, tmp_path):
    path = tmp_path / "pictures"  # told apart by content, not by name
    if request.param == "zip":
        return zip_of(path, CONTENTS)
    return tar_of(path, CONTENTS, "w:gz" if request.param == "tar.gz" else "w")


def source_of(*paths):
    members = [member for path in paths for member in list_members(path).members]
    return ArchivePictures(members, {path.name: path for path in paths})


def test_members_are_listed_in_the_archives_order_with_their_sizes(archive):
    found = list_members(archive)
    assert [member.name for member in found.members] == list(CONTENTS)
    assert [member.size for member in found.members] == list(map(len, CONTENTS.values()))
    assert {member.archive for member in found.members} == {"pictures"}
    assert found.refused == ()


@pytest.mark.parametrize("rows", [range(8), [7, 0, 3, 3, 1], []])
def test_pictures_come_in_the_order_asked_for(archive, rows):
    contents = list(CONTENTS.values())
    found = [read() for read in source_of(archive).open(list(rows))]
    assert found == [contents[row] for row in rows]


def test_callables_serve_later_and_in_other_threads(archive):
    contents = list(CONTENTS.values())
    reads = list(source_of(archive).open(range(8)))
    found: dict[int, bytes] = {}

    def read(row):
        found[row] = reads[row]()

    threads = [threading.Thread(target=read, args=(row,)) for row in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[row] for row in range(8)] == contents


def test_sizes_are_known_without_reading(archive):
    source = source_of(archive)
    archive.unlink()
    assert isinstance(source, SizedSource)
    assert source.sizes(np.array([2, 0])).tolist() == [502, 500]


def test_rows_of_several_archives_and_rows_that_cannot_be_read(tmp_path):
    one = zip_of(tmp_path / "one.zip", {"a": b"1"})
    two = tar_of(tmp_path / "two.tgz", {"b": b"2", "c": b"3"})
    members = [*list_members(one).members, *list_members(two).members]
    missing = Refused("gone.jpg", "not in the archive")
    source = ArchivePictures([*members, missing], {"one.zip": one, "two.tgz": two})
    *reads, refused = source.open([1, 0, 2, 3])
    assert [read() for read in reads] == [b"2", b"1", b"3"]
    with pytest.raises(OSError, match="not in the archive"):
        refused()
    assert source.sizes(np.arange(4)).tolist() == [1, 1, 1, 0]


def test_a_tar_gz_in_its_own_order_is_read_once(tmp_path, monkeypatch):
    contents = {str(i): np.random.default_rng(i).bytes(300_000) for i in range(4)}
    path = tar_of(tmp_path / "a.tgz", contents)
    source = source_of(path)
    rewound = []
    rewind = gzip._GzipReader._rewind
    monkeypatch.setattr(gzip._GzipReader, "_rewind", lambda self: (rewound.append(1), rewind(self)))
    list(source.open(range(4)))
    assert rewound == []
    assert [read() for read in source.open([3, 0])] == [contents["3"], contents["0"]]
    assert rewound == [1]


def test_a_damaged_member_is_an_error_of_its_own(tmp_path):
    path = zip_of(tmp_path / "a.zip", CONTENTS)
    members = list_members(path).members
    content = bytearray(path.read_bytes())
    content[members[2].start + 30 + len(members[2].name) + 200] ^= 0xFF
    path.write_bytes(content)
    reads = list(ArchivePictures(members, {"a.zip": path}).open(range(8)))
    with pytest.raises(OSError, match=r"cats/2\.jpg in a\.zip is damaged"):
        reads[2]()
    assert reads[3]() == CONTENTS["cats/3.jpg"]
