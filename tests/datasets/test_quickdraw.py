"""Quick, Draw! by name: options behind the name, the files of each kind, what a folder holds."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from tests.datasets.miniatures import accept, make_domainnet

from cliplab.datasets import domainnet
from cliplab.datasets.drawings import DrawingOptions
from cliplab.datasets.family import catalogue, open_dataset
from cliplab.datasets.from_archives import prepare_named
from cliplab.datasets.grey import grey_png
from cliplab.datasets.prepare import prepare
from cliplab.datasets.quickdraw import (
    DOMAINNETS,
    ENTRIES,
    RASTERS,
    asked_for,
    parts,
    read_archives,
    remotes,
    remotes_in,
    with_options,
)
from cliplab.datasets.shards import Bounds
from cliplab.runtime.errors import DataError, DownloadFailed, UsageError


def files_in(name, folder):
    return {remote.name: folder / remote.name for remote in remotes_in(name, folder)}


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "quickdraw/strokes"),
        ({"size": 128}, "quickdraw/strokes@size=128"),
        ({"size": 32, "per_class": 5}, "quickdraw/strokes@size=32,per-class=5"),
        ({"look": "light", "all_drawings": True}, "quickdraw/strokes@look=light,all-drawings"),
    ],
)
def test_options_stand_behind_the_name_and_come_back(options, name):
    given = DrawingOptions(**options)
    assert with_options("quickdraw/strokes", given) == name
    asked = asked_for(name)
    assert (asked.name, asked.kind, asked.options) == ("quickdraw/strokes", "strokes", given)
    assert with_options(name, DrawingOptions()) == name


def test_options_of_the_call_come_before_those_of_the_name():
    name = with_options("quickdraw@size=32,per-class=5", DrawingOptions(size=64))
    assert name == "quickdraw@size=64,per-class=5"
    assert asked_for("quickdraw").kind == ""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("quickdraw@sise=3", "there is no option 'sise'. Options are size=PIXELS"),
        ("quickdraw@size=big", "size=big is no number"),
        ("quickdraw@size", "size= is no number"),
        ("quickdraw@look=grey", "--look grey"),
        ("quickdraw@size=5000", "--size 5000"),
    ],
)
def test_options_that_cannot_be_are_told(name, message):
    with pytest.raises(UsageError, match=message):
        asked_for(name)


def test_a_name_with_options_stands_for_itself_in_one_spelling():
    assert parts("quickdraw/raw@look=light,per-class=9") == (
        "quickdraw/raw@per-class=9,look=light",
    )
    assert parts("quickdraw") == ("quickdraw",)
    assert parts("quickdraw/domainnet") == ("domainnet/quickdraw",)
    for name in ("digits@size=3", "quickdraw/others", "quickdraw/domainnet@size=3"):
        assert parts(name) == ()
    for name in ("digits", "quickdraw/domainnet", "photos/"):
        with pytest.raises(UsageError, match=f"{name} takes no options for drawings"):
            with_options(name, DrawingOptions(size=32))


def test_the_files_of_each_kind():
    for entry in ENTRIES[:4]:
        found = remotes(entry.name)
        assert len({remote.name for remote in found}) == 345
        assert all(len(remote.urls) == 1 for remote in found)
    host = "https://storage.googleapis.com/quickdraw_dataset/full"
    assert remotes("quickdraw")[0].urls == (f"{host}/numpy_bitmap/aircraft%20carrier.npy",)
    assert remotes("quickdraw/strokes")[1].urls == (f"{host}/simplified/airplane.ndjson",)
    assert remotes("quickdraw/raw@per-class=3")[344].urls == (f"{host}/raw/zigzag.ndjson",)
    assert remotes("quickdraw/bitmaps")[344].other_names == ("zigzag.npy",)
    assert remotes("quickdraw/domainnet") == domainnet.remotes("domainnet/quickdraw")


def test_a_folder_with_one_kind_needs_no_other_name(tmp_path, shared_data):
    for word in ("cat", "dog", "apple"):
        shutil.copy(shared_data / f"quickdraw/strokes_simplified/{word}.ndjson", tmp_path)
    files = files_in("quickdraw", tmp_path)
    assert sorted(files) == ["apple.ndjson", "cat.ndjson", "dog.ndjson"]
    found = read_archives("quickdraw@per-class=5,size=32", files)
    assert found.name == "quickdraw@per-class=5,size=32"
    assert found.task().class_names == ("apple", "cat", "dog")
    assert len(found) == 15
    assert found.source.pixels([0]).shape == (1, 32, 32)
    for said in ("first 5 drawings of each class", "game recognised", "at 32 pixels", "on white"):
        assert said in found.card.description
    assert found.card.licence == "CC BY 4.0"


def test_a_folder_with_several_kinds_asks_for_one_and_serves_each(shared_data):
    folder = shared_data / "quickdraw"
    with pytest.raises(DataError) as error:
        files_in("quickdraw", folder)
    for said in (
        "bitmaps (bitmaps_28px_29classes.npz)",
        "raw (strokes_raw/apple.ndjson and 11 more",
    ):
        assert said in str(error.value)
    assert "quickdraw/bitmaps or quickdraw/raw or quickdraw/strokes" in str(error.value)
    bitmaps = read_archives("quickdraw/bitmaps", files_in("quickdraw/bitmaps", folder))
    assert (len(bitmaps), len(bitmaps.task().class_names)) == (66_325, 29)
    strokes = read_archives("quickdraw/strokes", files_in("quickdraw/strokes", folder))
    raw = read_archives("quickdraw/raw", files_in("quickdraw/raw", folder))
    assert (len(strokes.task().class_names), len(raw.task().class_names)) == (345, 12)
    both = sorted(set(strokes.ids) & set(raw.ids))
    assert len(both) > 90
    rows = [[list(d.ids).index(id_) for id_ in both[:20]] for d in (strokes, raw)]
    one, other = strokes.source.pixels(rows[0]), raw.source.pixels(rows[1])
    assert np.abs(one.astype(int) - other).mean() < 4
    split = [d.splits["label"][r] for d, r in zip((strokes, raw), rows, strict=True)]
    assert list(split[0]) == list(split[1])  # a drawing is in the same split of either


def test_a_folder_without_drawings_says_what_it_has(tmp_path, shared_data):
    with pytest.raises(
        DataError, match=r"no drawings \(\.ndjson or \.npy files\) .* nor any other"
    ):
        files_in("quickdraw", tmp_path)
    shutil.copy(shared_data / "quickdraw/strokes_raw/apple.ndjson", tmp_path)
    with pytest.raises(DataError, match=r"no strokes .* it has raw \(apple\.ndjson\)"):
        files_in("quickdraw/strokes", tmp_path)
    with pytest.raises(DataError, match="quickdraw/bitmaps takes bitmaps alone; found raw"):
        read_archives("quickdraw/bitmaps", {"a": tmp_path / "apple.ndjson"})


def test_the_look_and_the_size_are_in_the_card(tmp_path, shared_data):
    """The card is part of a preparation's identity."""
    files = {
        word: shared_data / f"quickdraw/strokes_simplified/{word}.ndjson" for word in ("cat", "dog")
    }
    options = ("", "@size=28", "@look=light", "@all-drawings", "@per-class=3")
    names = [f"quickdraw/strokes{option}" for option in options]
    assert len({read_archives(name, files).card.description for name in names}) == len(names)


@pytest.mark.parametrize("name", ["quickdraw/bitmaps", "quickdraw/strokes@size=32"])
def test_what_is_not_prepared_says_how_it_comes_here(home, name):
    with pytest.raises(
        DataError, match=f"{name} is not prepared here. Run `cliplab prepare {name}`"
    ):
        open_dataset(name, home=home)


def test_from_a_folder_to_parquet_and_back_by_name(shared_data, home, capsys):
    folder = shared_data / "quickdraw" / "strokes_raw"
    name = "quickdraw/raw@size=32,per-class=8"
    (made,) = prepare_named("quickdraw/raw@per-class=8,size=32", home=home, archives=folder)
    said = capsys.readouterr().err
    assert f"{name}: Quick, Draw!: strokes as they were drawn" in said
    assert "… 12 files in all, 12 of them here" in said
    assert "Licence: CC BY 4.0" in said
    assert made == home / "datasets" / name
    for spelled in (name, "quickdraw/raw@per-class=8,size=32", f"{name}:label"):
        dataset, _task = open_dataset(spelled, home=home)
        assert (len(dataset), dataset.split_origin) == (96, "hashed")
    assert name in [entry.name for entry in catalogue(home)]
    assert len(dataset.archives) == 12
    source = read_archives(name, files_in(name, folder))
    row = {id_: i for i, id_ in enumerate(source.ids)}
    pictures = zip(dataset.ids, dataset.source.open(range(96)), strict=True)
    assert all(grey_png(source.source.pixels([row[i]])[0]) == read() for i, read in pictures)
    (again,) = prepare_named(name, home=home)
    assert again == made
    assert "is prepared already" in capsys.readouterr().err


def test_other_options_are_another_preparation(shared_data, home):
    folder = shared_data / "quickdraw" / "strokes_raw"
    names = [
        f"quickdraw/raw@size={size},per-class=2,look={look}"
        for size in (16, 24)
        for look in ("dark", "light")
    ]
    made = [path for n in names for path in prepare_named(n, home=home, archives=folder)]
    assert len(set(made)) == 4
    digests = [set(open_dataset(n, home=home).dataset.digests) for n in names]
    assert len(set.union(*digests)) == 4 * 24


def test_downloads_are_those_of_all_classes(home):
    with pytest.raises(DownloadFailed, match=r"full_simplified_aircraft carrier\.ndjson"):
        prepare_named("quickdraw/strokes", home=home, offline=True)


def test_domainnets_rasters_have_two_names(tmp_path, home, monkeypatch):
    made = make_domainnet(tmp_path / "archives", ["quickdraw"], per_class=1)
    accept(monkeypatch, made)
    with pytest.raises(DataError, match="cliplab prepare domainnet/quickdraw"):
        open_dataset("quickdraw/domainnet", home=home)
    (folder,) = prepare_named("quickdraw/domainnet", home=home, archives=made.folder)
    assert folder == home / "datasets" / "domainnet" / "quickdraw"
    one, other = (open_dataset(n, home=home).dataset for n in (DOMAINNETS, RASTERS))
    assert list(one.ids) == list(other.ids)
    assert (one.name, other.name) == (DOMAINNETS, RASTERS)
    assert set(other.ids) == set(made.pictures)


def test_cut_off_and_run_again_it_ends_in_the_same_bytes(shared_data, tmp_path, home):
    folder = shared_data / "quickdraw" / "strokes_raw"
    name = "quickdraw/raw@size=16,per-class=8"

    def made(place, stop_at=None):
        done = 0

        def advance(count):
            nonlocal done
            done += count
            if stop_at is not None and done > stop_at:
                raise KeyboardInterrupt

        dataset = read_archives(name, files_in(name, folder))
        return prepare(dataset, home=home, out=place, bounds=Bounds(rows=10), on_progress=advance)

    whole = made(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "cut", stop_at=35)
    again = made(tmp_path / "cut")
    for path in sorted(path for path in whole.rglob("*") if path.is_file()):
        assert (again / path.relative_to(whole)).read_bytes() == path.read_bytes()


def test_prompts_are_those_of_the_same_classes_in_domainnet(shared_data, home):
    folder = shared_data / "quickdraw" / "strokes_raw"
    prepare_named("quickdraw/raw@per-class=2", home=home, archives=folder)
    task = open_dataset("quickdraw/raw@per-class=2", home=home).dataset.task()
    assert task.prompts.texts("octagon")[0] == "a quick drawing of an octagon."
