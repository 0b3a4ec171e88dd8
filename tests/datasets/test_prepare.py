from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from cliplab.datasets.parquet import open_parquet
from cliplab.datasets.prepare import prepare, prepared_folder
from cliplab.datasets.shards import Bounds
from cliplab.runtime.errors import DataError, UsageError


def test_name_becomes_a_folder_below_home(tmp_path):
    assert prepared_folder("digits", tmp_path) == tmp_path / "datasets/digits"
    assert prepared_folder("hf:owner/name", tmp_path) == tmp_path / "datasets/hf/owner/name"


def test_licence_size_and_citation_are_said_first(make_dataset, home, capsys):
    dataset = make_dataset()
    folder = prepare(dataset, home=home)
    assert folder == home / "datasets/noise"
    assert json.loads((folder / "cliplab.json").read_text())["name"] == "noise"
    said = capsys.readouterr()
    assert said.out == ""
    assert "noise: 60 pictures, 0.0 MB" in said.err
    assert "Licence: CC BY 4.0" in said.err
    assert "Please cite: @misc{noise}" in said.err


def test_a_second_time_nothing_is_read(make_dataset, home, capsys):
    folder = prepare(make_dataset(), home=home)
    dataset = make_dataset()
    dataset.source.contents[:] = [None] * 60  # reading would fail
    assert prepare(dataset, home=home) == folder
    assert "is prepared already" in capsys.readouterr().err


def test_what_was_prepared_is_not_prepared_again_from_itself(make_dataset, home):
    folder = prepare(make_dataset(), home=home, bounds=Bounds(rows=7))
    before = (folder / "cliplab.json").stat().st_mtime_ns
    assert prepare(open_parquet(folder, name="noise", home=home), home=home) == folder
    assert (folder / "cliplab.json").stat().st_mtime_ns == before


def test_opening_after_preparing_hashes_nothing(make_dataset, home, monkeypatch):
    folder = prepare(make_dataset(), home=home)
    monkeypatch.setattr("cliplab.datasets.parquet.stored_digests", None)  # a call would fail
    found = open_parquet(folder, name="noise", home=home)
    assert sorted(found.digests) == sorted(make_dataset().digests)


def test_folders_of_the_same_name_do_not_meet(make_dataset, tmp_path, home):
    places = []
    for parent in ("mine", "yours"):
        dataset = make_dataset(name="photos", location=tmp_path / parent / "photos")
        places.append(prepare(dataset, home=home))
    assert places[0] != places[1]
    assert all(place.name.startswith("photos-") for place in places)


def test_another_place_and_progress(make_dataset, home, tmp_path):
    done = []
    folder = prepare(make_dataset(), home=home, out=tmp_path / "there", on_progress=done.append)
    assert folder == tmp_path / "there"
    assert sum(done) == 60
    assert not (home / "datasets").exists()


def test_a_stream_in_the_order_of_the_plan_serves(make_dataset, home):
    """Digests not known before, pictures read once each, in the order in which they come."""
    whole = make_dataset()
    asked = []

    class Stream:
        def open(self, rows):
            for row in rows:
                asked.append(row)
                yield lambda row=row: whole.source.contents[row]

        def sizes(self, rows):
            return np.array([len(whole.source.contents[row]) for row in rows])

    unknown = np.array([""] * len(whole), dtype=object)
    folder = prepare(replace(whole, source=Stream(), digests=unknown), home=home)
    by_split = [np.flatnonzero(whole.splits["label"] == s) for s in ("train", "validation", "test")]
    assert asked == list(np.concatenate(by_split))
    found = open_parquet(folder, name="noise", home=home)
    assert list(found.digests) == list(whole.digests[np.concatenate(by_split)])


def test_unreadable_pictures_are_named_or_end_the_work(make_dataset, make_png, home, capsys):
    contents = [make_png(i) for i in range(12)]
    contents[3] = None
    dataset = make_dataset(12, contents=contents)
    with pytest.raises(DataError, match=r"1 pictures cannot be read .* cat/0003\.png"):
        prepare(dataset, home=home, on_bad="fail")
    assert not prepared_folder("noise", home).exists()
    folder = prepare(dataset, home=home)
    assert (
        "1 pictures cannot be read: cat/0003.png (cannot be read: gone)" in capsys.readouterr().err
    )
    assert len(open_parquet(folder, name="noise", home=home)) == 12
    with pytest.raises(UsageError, match="list or fail"):
        prepare(dataset, home=home, on_bad="ignore")


def test_an_empty_data_set(make_dataset, home):
    with pytest.raises(DataError, match="has no pictures"):
        prepare(make_dataset(0, contents=[]), home=home)


def test_a_folder_of_pictures_by_name_opens_in_datasets(tmp_path, home, make_png):
    import datasets

    folder = tmp_path / "photos"
    for number in range(20):
        path = folder / ("cats", "dogs")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make_png(number))
    (folder / "cats/broken.png").write_bytes(b"<html>")
    prepared = prepare(str(folder), home=home)
    loaded = datasets.load_dataset(str(prepared), cache_dir=str(tmp_path / "cache"))
    assert {name: len(part) for name, part in loaded.items()} == {"train": 17, "test": 4}
    assert loaded["train"].features["label"].names == ["cats", "dogs"]
    for part in loaded.values():
        for row in part.cast_column("image", datasets.Image(decode=False)):
            assert row["image"]["bytes"] == (folder / row["id"]).read_bytes()
            assert row["id"].startswith(("cats", "dogs")[row["label"]])


def test_the_digits_by_name(home):
    from cliplab.datasets.family import open_dataset

    digits, _task = open_dataset("digits", home=home)
    folder = prepare("digits", home=home)
    assert folder == home / "datasets/digits"
    found = open_parquet(folder, name="digits", home=home)
    rows = np.argsort(found.ids)
    assert list(found.ids[rows]) == sorted(digits.ids)
    assert list(found.labels["digit"][rows]) == list(digits.labels["digit"][np.argsort(digits.ids)])
    assert found.task().prompts == digits.task().prompts
    assert found.split_origin == digits.split_origin


def test_a_prepared_data_set_is_found_by_its_name(make_dataset, home):
    from cliplab.datasets.family import open_dataset

    prepare(make_dataset(name="lab/noise"), home=home)
    found, task = open_dataset("lab/noise:label", home=home)
    assert (len(found), task) == (60, "label")
