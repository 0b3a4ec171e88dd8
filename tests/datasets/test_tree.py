"""What is a picture in a folder and what is passed over; links, odd names, unreadable folders."""

from __future__ import annotations

import os

import pytest

from cliplab.datasets import tree
from cliplab.datasets.tree import ids_of, listed, path_id, walk
from cliplab.runtime.errors import DataError


@pytest.fixture
def make(tmp_path):
    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        return tmp_path

    return make


def test_pictures_are_told_by_their_suffix_in_any_case(make):
    root = make("a/1.JPG", "a/b/2.tif", "a/3.avif", "b/4.apng", "a/notes.txt", "b/noend", "x.pdf")
    found = walk(root)
    assert found.pictures == ["a/1.JPG", "a/3.avif", "a/b/2.tif", "b/4.apng"]
    assert found.others == ["a/notes.txt", "b/noend", "x.pdf"]


def test_hidden_names_and_what_systems_leave_are_passed_over(make):
    root = make("a/._1.jpg", ".git/x.png", "__MACOSX/a/1.jpg", "a/.DS_Store", "@eaDir/1.jpg")
    assert walk(root) == ([], [], ["a"])


def test_folders_without_pictures_at_any_depth_are_known(make):
    root = make("a/1.jpg", "b/c/readme.md")
    (root / "empty").mkdir()
    assert walk(root).bare == ["b/c", "b", "empty"]


def test_links_are_followed_but_not_in_circles(make, tmp_path_factory):
    root = make("a/1.jpg")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "2.png").write_bytes(b"")
    (root / "linked").symlink_to(elsewhere)
    (root / "a" / "3.png").symlink_to(elsewhere / "2.png")
    (root / "a" / "up").symlink_to(root)
    found = walk(root)
    assert found.pictures == ["a/1.jpg", "a/3.png", "linked/2.png"]
    assert found.others == ["a/up"]


def test_a_link_to_nowhere_or_to_itself_is_a_picture_that_cannot_be_read(make):
    root = make("a/1.jpg")
    (root / "a/gone.png").symlink_to("nowhere.png")
    (root / "a/self.png").symlink_to("self.png")
    assert walk(root).pictures == ["a/1.jpg", "a/gone.png", "a/self.png"]


def test_a_pipe_called_like_a_picture_would_hang_the_reader_and_is_none(make):
    root = make("a/1.jpg")
    os.mkfifo(root / "a/2.jpg")
    assert walk(root).pictures == ["a/1.jpg"]
    assert walk(root).others == ["a/2.jpg"]


def test_folders_that_may_not_be_read_are_all_named(make, monkeypatch):
    root = make("a/1.jpg", "b/1.jpg", "c/1.jpg")
    real = os.scandir

    def refusing(folder):
        if str(folder)[-1] in "bc":
            raise PermissionError(13, "Permission denied")
        return real(folder)

    monkeypatch.setattr(tree.os, "scandir", refusing)
    with pytest.raises(DataError, match=r"Give permission[\s\S]*b: Permission[\s\S]*c: Permiss"):
        walk(root)


def test_ids_are_nfc_and_bytes_that_are_no_text_are_spelled_out():
    assert path_id("e\u0301/1.jpg") == "\u00e9/1.jpg"
    assert path_id(os.fsdecode(b"a/\xff.png")) == r"a/\xff.png"


def test_two_files_of_one_id_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"cannot be told apart.*\n.*é\.jpg' names 2 files"):
        ids_of(["e\u0301.jpg", "\u00e9.jpg", "a.jpg"], tmp_path)


def test_a_list_for_a_message_is_short():
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(i) for i in range(1003)]) == "0, 1, 2 and 1,000 more"
