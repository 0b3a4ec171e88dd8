"""A folder of drawings, or one file of them, opened by its path."""

from __future__ import annotations

import hashlib
import json
import shutil

import numpy as np
import pytest

from cliplab.datasets.drawing_files import holds_drawings, is_drawing_file
from cliplab.datasets.family import open_dataset
from cliplab.datasets.prepare import prepare
from cliplab.runtime.errors import DataError, UnknownName, UsageError


def save(folder, *words, n=12):
    folder.mkdir(parents=True, exist_ok=True)
    for word in words:
        values = np.random.default_rng(len(word)).integers(0, 256, (n, 784), dtype=np.uint8)
        np.save(folder / f"{word}.npy", values)
    return folder


def test_a_folder_of_arrays_is_a_data_set(tmp_path):
    folder = save(tmp_path / "arrays", "cat", "apple")
    dataset, task = open_dataset(folder)
    assert (len(dataset), task, dataset.location) == (24, "label", folder)
    assert dataset.task().class_names == ("apple", "cat")
    for row, read in zip(range(24), dataset.source.open(range(24)), strict=True):
        assert dataset.digests[row] == hashlib.sha256(read()).hexdigest()
    assert open_dataset(f"{folder}:label").task == "label"


def test_one_npz_is_a_data_set(tmp_path, monkeypatch):
    np.savez(tmp_path / "mine.npz", **{w: np.zeros((4, 28, 28), np.uint8) for w in ("b", "a")})
    monkeypatch.chdir(tmp_path)
    for name in ("mine.npz", "./mine.npz", str(tmp_path / "mine.npz")):
        dataset, task = open_dataset(name)
        assert (dataset.name, len(dataset), task) == (name, 8, "label")
        assert dataset.task().class_names == ("a", "b")
    with pytest.raises(UnknownName, match="no such"):
        open_dataset("other.npz")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UsageError, match=r"a\.txt is a file"):
        open_dataset("a.txt")


def test_digests_are_kept_and_follow_the_file(tmp_path, home):
    folder = save(tmp_path / "arrays", "cat", "dog")
    before = open_dataset(folder, home=home).dataset
    stamps = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    assert open_dataset(folder, home=home).dataset.content_digest() == before.content_digest()
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == stamps
    np.save(folder / "dog.npy", np.zeros((13, 784), np.uint8))
    after = open_dataset(folder, home=home).dataset
    assert list(after.digests[:12]) == list(before.digests[:12])
    assert list(after.digests[12:24]) != list(before.digests[12:])


def test_pictures_in_the_folder_come_first(tmp_path):
    folder = save(tmp_path / "photos", "features", "more")
    assert holds_drawings(folder)
    for name in ("a/1.png", "b/1.png"):
        (folder / name).parent.mkdir()
        (folder / name).write_bytes(b"x")
    assert not holds_drawings(folder)
    assert list(open_dataset(folder).dataset.ids) == ["a/1.png", "b/1.png"]
    assert not holds_drawings(tmp_path)
    assert not is_drawing_file(folder)


def test_kinds_that_do_not_go_together_are_named(tmp_path, shared_data):
    folder = save(tmp_path / "mixed", "cat", "dog")
    shutil.copy(shared_data / "quickdraw/strokes_simplified/ant.ndjson", folder)
    with pytest.raises(
        DataError, match=r"bitmaps \(cat\.npy and 1 more\), strokes \(ant\.ndjson\)"
    ):
        open_dataset(folder)


def test_files_in_folders_within_are_passed_over_and_said(tmp_path, capsys):
    folder = save(tmp_path / "arrays", "cat", "dog")
    save(folder / "old", "ant")
    assert len(open_dataset(folder).dataset) == 24
    assert "passed over 1 files in folders within it: old/ant.npy" in capsys.readouterr().err


def test_a_drawing_that_cannot_be_drawn_has_no_digest_and_is_listed(tmp_path, home, capsys):
    for word in ("cat", "dog"):
        drawings = [[[[0, 255], [0, 9 * i]]] for i in range(3)] + [[]]
        lines = [
            json.dumps({"word": word, "key_id": str(i), "recognized": True, "drawing": drawing})
            for i, drawing in enumerate(drawings)
        ]
        (tmp_path / f"{word}.ndjson").write_text("\n".join(lines))
    dataset = open_dataset(tmp_path, home=home).dataset
    assert [bool(digest) for digest in dataset.digests] == [True, True, True, False] * 2
    folder = prepare(dataset, home=home)
    said = capsys.readouterr().err
    assert (
        "2 pictures cannot be read: cat/3.png (cannot be read: the drawing has no strokes" in said
    )
    prepared = open_dataset(folder, home=home).dataset
    assert sorted(prepared.digests) == sorted(dataset.digests)
    with pytest.raises(DataError, match=r"cat/3\.png"):
        prepare(dataset, home=home, out=tmp_path / "out", on_bad="fail")


def test_a_file_of_drawings_is_prepared_beside_others(tmp_path, home):
    save(tmp_path, "cat", "dog")
    np.savez(tmp_path / "x.npz", a=np.zeros((3, 8, 8), np.uint8), b=np.zeros((3, 8, 8), np.uint8))
    one = prepare(str(tmp_path / "x.npz"), home=home)
    (tmp_path / "x.npz").unlink()
    two = prepare(str(tmp_path), home=home)
    assert one != two
    assert one.parent == two.parent == home / "datasets" / "folders"
    assert len(open_dataset(one, home=home).dataset) == 6


def test_the_real_bitmaps_open_by_their_path(shared_data, home):
    name = str(shared_data / "quickdraw" / "bitmaps_28px_29classes.npz")
    dataset, _task = open_dataset(name, home=home)
    assert len(dataset) == 66_325
    assert len(set(dataset.digests)) > 66_000
    train = dataset.rows("label", "train")
    assert dataset.source.pixels(train[:1000]).shape == (1000, 28, 28)
    assert len(train) / len(dataset) == pytest.approx(0.8, abs=0.01)
