"""The kept digests: hashed once, again when changed, written whole, rebuilt when damaged."""

from __future__ import annotations

import hashlib
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cliplab.datasets import index
from cliplab.datasets.index import cached_digests
from cliplab.runtime.errors import FormatTooNew, StorageError


class Hasher:
    """Hashes files and remembers which; files named `bad*` cannot be read."""

    def __init__(self):
        self.hashed = []

    def __call__(self, path):
        if path.name.startswith("bad"):
            raise PermissionError("no")
        self.hashed.append(path.name)
        return [hashlib.sha256(path.read_bytes()).hexdigest()]


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "pictures"
    (folder / "a").mkdir(parents=True)
    for i in range(5):
        (folder / "a" / f"{i}.png").write_bytes(b"picture %d" % i)
    return folder


FILES = [f"a/{i}.png" for i in range(5)]


def _index_of(home):
    (found,) = (home / "indexes").glob("*.parquet")
    return found


def test_digests_are_right_and_a_second_call_hashes_and_writes_nothing(root, home):
    hasher = Hasher()
    found = cached_digests(home, root, FILES, hasher, kind="picture")
    assert list(found) == FILES
    assert found["a/3.png"] == [hashlib.sha256(b"picture 3").hexdigest()]
    written = _index_of(home).stat().st_mtime_ns
    again = cached_digests(home, root, FILES, Hasher(), kind="picture")
    assert again == found
    assert _index_of(home).stat().st_mtime_ns == written


def test_only_what_changed_or_is_new_is_hashed_again(root, home):
    cached_digests(home, root, FILES, Hasher(), kind="picture")
    (root / "a/1.png").write_bytes(b"longer than before")
    os.utime(root / "a/2.png", ns=(1, 1))
    (root / "a/new.png").write_bytes(b"new")
    hasher = Hasher()
    found = cached_digests(home, root, [*FILES, "a/new.png"], hasher, kind="picture")
    assert sorted(hasher.hashed) == ["1.png", "2.png", "new.png"]
    assert found["a/1.png"] == [hashlib.sha256(b"longer than before").hexdigest()]


def test_kinds_and_folders_are_kept_apart(root, home, tmp_path):
    cached_digests(home, root, FILES, Hasher(), kind="picture")
    hasher = Hasher()
    cached_digests(home, root, FILES, hasher, kind="other")
    assert len(hasher.hashed) == 5
    root.rename(tmp_path / "moved")
    cached_digests(home, tmp_path / "moved", FILES, hasher, kind="picture")
    assert len(hasher.hashed) == 10


def test_an_unreadable_or_missing_file_has_an_empty_digest_and_is_tried_again(root, home):
    (root / "a/bad.png").write_bytes(b"x")
    files = [*FILES, "a/bad.png", "a/gone.png"]
    found = cached_digests(home, root, files, Hasher(), kind="picture")
    assert found["a/bad.png"] == found["a/gone.png"] == [""]
    found = cached_digests(home, root, files, lambda p: [p.name], kind="picture")
    assert found["a/bad.png"] == ["bad.png"]
    assert found["a/0.png"] == [hashlib.sha256(b"picture 0").hexdigest()]


@pytest.mark.parametrize("content", [b"", b"not parquet", b"PAR1" + b"\0" * 40 + b"PAR1"])
def test_a_damaged_index_is_made_again(root, home, content):
    cached_digests(home, root, FILES, Hasher(), kind="picture")
    _index_of(home).write_bytes(content)
    hasher = Hasher()
    cached_digests(home, root, FILES, hasher, kind="picture")
    assert len(hasher.hashed) == 5
    cached_digests(home, root, FILES, hasher, kind="picture")
    assert len(hasher.hashed) == 5


def test_an_index_that_lost_a_column_is_made_again(root, home):
    cached_digests(home, root, FILES, Hasher(), kind="picture")
    place = _index_of(home)
    pq.write_table(pq.read_table(place).drop_columns(["size"]), place)
    hasher = Hasher()
    cached_digests(home, root, FILES, hasher, kind="picture")
    assert len(hasher.hashed) == 5


def test_a_newer_index_is_refused_with_the_way_out_and_left_alone(root, home):
    cached_digests(home, root, FILES, Hasher(), kind="picture")
    place = _index_of(home)
    newer = pa.table({"other": [1]}).replace_schema_metadata(
        {"cliplab": json.dumps({"format_version": 99})}
    )
    pq.write_table(newer, place)
    before = place.read_bytes()
    with pytest.raises(FormatTooNew, match=r"format version 99; .* Upgrade cliplab"):
        cached_digests(home, root, FILES, Hasher(), kind="picture")
    assert place.read_bytes() == before


def test_what_was_hashed_before_an_interruption_is_kept(root, home):
    def interrupted(path):
        if path.name == "4.png":
            raise KeyboardInterrupt
        return [path.name]

    with pytest.raises(KeyboardInterrupt):
        cached_digests(home, root, FILES, interrupted, kind="picture")
    hasher = Hasher()
    found = cached_digests(home, root, FILES, hasher, kind="picture")
    assert hasher.hashed == ["4.png"]
    assert found["a/0.png"] == ["0.png"]


def test_it_is_written_from_time_to_time_so_that_a_kill_costs_little(root, home, monkeypatch):
    monkeypatch.setattr(index, "SAVE_EVERY", 0.0)
    seen = []
    real = index._write
    monkeypatch.setattr(index, "_write", lambda p, r, e: (seen.append(len(e)), real(p, r, e)))
    cached_digests(home, root, FILES, Hasher(), kind="picture")
    assert seen == [1, 2, 3, 4, 5, 5]


def test_leftovers_of_a_kill_are_swept_and_those_of_others_are_not(root, home):
    cached_digests(home, root, FILES[:4], Hasher(), kind="picture")
    own = home / "indexes" / f".{_index_of(home).name}.abc.part"
    other = home / "indexes" / ".other.parquet.abc.part"
    for leftover in (own, other):
        leftover.write_bytes(b"half")
    cached_digests(home, root, FILES, Hasher(), kind="picture")
    assert not own.exists()
    assert other.exists()


def test_file_names_that_are_not_unicode_are_kept(root, home):
    name = os.fsdecode(b"a/\xff.png")
    try:
        (root / name).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes Unicode names alone")
    found = cached_digests(home, root, [name], Hasher(), kind="picture")
    hasher = Hasher()
    assert cached_digests(home, root, [name], hasher, kind="picture") == found
    assert hasher.hashed == []


def test_a_home_that_cannot_be_written_names_the_way_out(root, tmp_path):
    home = tmp_path / "home-is-a-file"
    home.write_bytes(b"")
    with pytest.raises(StorageError, match=r"--home DIR"):
        cached_digests(home, root, FILES, Hasher(), kind="picture")


def test_a_read_only_home_with_a_complete_index_is_enough(root, home, monkeypatch):
    found = cached_digests(home, root, FILES, Hasher(), kind="picture")
    monkeypatch.setattr(index, "locked", lambda *_: pytest.fail("nothing is to be written"))
    assert cached_digests(home, root, FILES, Hasher(), kind="picture") == found
