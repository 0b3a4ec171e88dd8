"""Pictures named one by one or by their folders."""

from __future__ import annotations

import pytest
from PIL import Image

from cliplab.datasets.picture_files import PictureFiles, picture_files
from cliplab.runtime.errors import UsageError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    for name in ("b.png", "in/a.png", "in/deep/c.jpg"):
        Image.new("L", (4, 4)).save(tmp_path / name)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    return tmp_path


def test_files_and_folders_each_once_in_their_order(folder):
    found = picture_files([folder / "b.png", folder / "in", folder / "in" / "a.png"])
    assert [path.relative_to(folder).as_posix() for path in found] == [
        "b.png",
        "in/a.png",
        "in/deep/c.jpg",
    ]


def test_what_is_not_there_is_named(folder):
    with pytest.raises(UsageError, match=r"no picture or folder .*d\.png"):
        picture_files([folder / "d.png"])
    with pytest.raises(UsageError, match=r"no pictures in the folder .*empty"):
        picture_files([folder / "empty"])


def test_files_are_read_when_asked_for(folder):
    source = PictureFiles([folder / "b.png", folder / "in" / "a.png"])
    reads = list(source.open([1, 0]))
    (folder / "in" / "a.png").write_bytes(b"new")
    assert reads[0]() == b"new"
    assert reads[1]() == (folder / "b.png").read_bytes()
