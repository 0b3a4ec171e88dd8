"""Kept pixels are those of the files as they are now."""

from __future__ import annotations

import dataclasses
import json
import os
import zipfile

import numpy as np
import pytest

from cliplab.datasets.archived import ArchivePictures
from cliplab.datasets.drawings import DrawingOptions, read_drawings
from cliplab.nouns import Card
from cliplab.runtime.archives import list_members
from cliplab.tokenizers.pixel_store import open_pixels, source_marks

SQUARE = [[[0, 255, 255, 0, 0], [0, 0, 255, 255, 0]]]
DASH = [[[0, 255], [128, 128]]]


def write(folder, drawing):
    for word in ("cat", "dog"):
        lines = [
            {"word": word, "recognized": True, "key_id": str(key), "drawing": drawing}
            for key in range(3)
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{word}.ndjson").write_text(text)


def strokes(folder, **options):
    files = sorted(folder.glob("*.ndjson"))
    name = f"strokes{options}"
    return read_drawings(files, name=name, options=DrawingOptions(size=16, **options), card=Card())


def pixels_of(dataset, folder):
    pixels, _ = open_pixels(
        dataset, np.arange(len(dataset)), size=(8, 8), channels=1, folder=folder
    )
    return pixels.read(np.arange(len(dataset)))


@pytest.fixture
def drawn(tmp_path):
    (tmp_path / "drawn").mkdir()
    write(tmp_path / "drawn", SQUARE)
    return tmp_path / "drawn"


def test_drawings_that_changed_are_read_again(drawn, tmp_path):
    before = pixels_of(strokes(drawn), tmp_path)
    assert np.array_equal(before, pixels_of(strokes(drawn), tmp_path))
    assert len(list(tmp_path.glob("*.u8"))) == 1
    write(drawn, DASH)
    after = pixels_of(strokes(drawn), tmp_path)
    assert not np.array_equal(before, after)


def test_a_file_of_the_same_size_at_another_time_is_another(drawn):
    before = source_marks(strokes(drawn))
    os.utime(drawn / "cat.ndjson", (1, 1))
    assert source_marks(strokes(drawn)) != before


def test_drawings_of_another_look_are_others(drawn, tmp_path):
    dark = pixels_of(strokes(drawn), tmp_path)
    light = pixels_of(strokes(drawn, look="light"), tmp_path)
    assert np.abs(dark.astype(int) + light - 255).max() <= 1
    assert not np.array_equal(dark, light)


def test_pictures_with_digests_need_no_marks(drawn):
    dataset = strokes(drawn)
    digests = np.array(["ab"] * len(dataset), dtype=object)
    assert source_marks(dataset)
    assert source_marks(dataclasses.replace(dataset, digests=digests)) == []


def test_pictures_in_archives_are_marked_by_their_archives(drawn, tmp_path):
    archive = tmp_path / "pictures.zip"
    with zipfile.ZipFile(archive, "w") as made:
        for i in range(6):
            made.writestr(f"cat/{i}.png", f"{i}")
    members = list_members(archive).members
    source = ArchivePictures(members, {"pictures": archive})
    dataset = dataclasses.replace(strokes(drawn), source=source)
    marks = source_marks(dataset)
    assert [mark[0] for mark in marks[1:]] == ["pictures.zip"]
    os.utime(archive, (1, 1))
    assert source_marks(dataset) != marks
