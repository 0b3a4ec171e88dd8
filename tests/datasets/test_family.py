"""Data sets by name: what wins, what a task after the colon means, and wrong names."""

from __future__ import annotations

import importlib.metadata
import sys
import types
from dataclasses import replace

import numpy as np
import pytest

from cliplab.datasets import family
from cliplab.datasets.digits import open_entry
from cliplab.datasets.entry import CatalogueEntry
from cliplab.datasets.family import catalogue, open_catalogued, open_dataset
from cliplab.datasets.prepare import prepare
from cliplab.nouns import Task
from cliplab.runtime.errors import DataError, NotPrepared, UnknownName, UsageError


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, empty."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


def fill(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())


def test_a_name_of_the_catalogue(here, home):
    opened = open_dataset("digits")
    assert (opened.dataset.name, opened.task, len(opened.dataset)) == ("digits", "digit", 1797)
    assert open_dataset("digits:digit", home=home).task == "digit"
    assert not home.exists()


def test_a_folder_comes_before_a_name_and_that_is_said(here, capsys):
    fill(here, "digits/a/1.png", "digits/b/1.png")
    assert len(open_dataset("digits").dataset) == 2
    assert "digits: the folder here is taken" in capsys.readouterr().err


def test_a_file_does_not_hide_a_name(here):
    (here / "digits").write_bytes(b"")
    assert len(open_dataset("digits").dataset) == 1797


def test_a_folder_is_named_as_the_user_names_it(here):
    fill(here, "photos/a/1.png", "photos/b/1.png")
    for spelled in ("photos", "photos/", "./photos", str(here / "photos")):
        assert open_dataset(spelled).dataset.name == spelled
    assert open_dataset(here / "photos").task == "label"
    assert open_dataset("photos:label").dataset.name == "photos"


def test_a_folder_with_a_colon_in_its_name(here):
    fill(here, "2024:06/a/1.png", "2024:06/b/1.png")
    assert len(open_dataset("2024:06").dataset) == 2
    assert open_dataset("2024:06:label").task == "label"


def test_a_task_is_chosen_by_name(here):
    fill(here, "p/1.png", "p/2.png")
    (here / "p/labels.csv").write_text("path,label,label:mood\n1.png,a,x\n2.png,b,y\n")
    assert open_dataset("p").task == "label"
    assert open_dataset("p:mood").task == "mood"


def test_a_labels_csv_beside_tables_is_what_counts(here):
    fill(here, "p/1.png", "p/2.png", "p/old.parquet")
    (here / "p/labels.csv").write_text("path,label\n1.png,a\n2.png,b\n")
    assert list(open_dataset("p").dataset.ids) == ["1.png", "2.png"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digit", r"Unknown data set 'digit' .*no such folder.*mean 'digits'.*Known: digits"),
        ("digist:digit", r"Did you mean 'digits'"),
        ("photos/cats", r"Unknown data set 'photos/cats' \(and there is no such folder\)"),
        ("", r"Unknown data set ''"),
        ("~nobody-of-that-name/x", r"Unknown data set '~nobody"),
        ("x" * 300, r"Unknown data set"),
        ("a\0b", r"Unknown data set"),
        ("../..:x/y", r"Unknown data set"),
        ("digits:styl", r"Unknown task 'styl' of data set 'digits'\. Known: digit"),
        ("digits:", r"Unknown data set 'digits:'.*mean 'digits'"),
        ("hf:", r"names no data set of the hub; write hf:owner/name"),
    ],
)
def test_unknown_names_give_the_closest(here, name, message):
    with pytest.raises(UsageError, match=message) as caught:
        open_dataset(name)
    assert caught.value.exit_code == 2


def test_an_unknown_task_of_a_folder(here):
    fill(here, "p/a/1.png", "p/b/1.png")
    with pytest.raises(UnknownName, match=r"Unknown task 'lable' of data set 'p'.*mean 'label'"):
        open_dataset("p:lable")


def test_a_file_is_not_a_data_set(here):
    fill(here, "cat.jpg")
    with pytest.raises(UsageError, match=r"cat.jpg is a file; a data set is a folder"):
        open_dataset("cat.jpg")


def test_an_empty_folder(here):
    (here / "empty").mkdir()
    with pytest.raises(DataError, match="holds no pictures"):
        open_dataset("empty")


def test_a_prepared_data_set_has_a_name(here, home, make_dataset, capsys):
    dataset = make_dataset(name="noise/first")
    folder = prepare(dataset, home=home)
    opened = open_dataset("noise/first", home=home).dataset
    assert opened.name == "noise/first"
    assert len(opened) == len(dataset)
    entry = next(entry for entry in catalogue(home) if entry.name == "noise/first")
    assert entry.state == "prepared"
    assert entry.tasks == {"label": 3}
    assert entry.pictures == sum(entry.splits.values()) == len(dataset)
    assert entry.licence == "CC BY 4.0"
    assert entry.size == sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    assert len(open_dataset(f"{folder}:label", home=home).dataset) == len(dataset)
    with pytest.raises(UnknownName, match="'noise/first'"):
        open_dataset("noise/frist", home=home)


def test_the_embedded_digits_stay_the_same_when_prepared(here, home):
    prepare(open_entry("digits"), home=home)
    assert open_dataset("digits", home=home).dataset.location is None
    assert [entry.state for entry in catalogue(home) if entry.name == "digits"] == ["embedded"]


def test_a_preparation_that_was_cut_short_says_so(here, home):
    (home / "datasets" / "noise" / "data").mkdir(parents=True)
    with pytest.raises(DataError, match=r"not completely prepared.*cliplab prepare noise"):
        open_dataset("noise", home=home)


def test_another_package_joins_by_entry_point(here, home, monkeypatch):
    toy = types.ModuleType("toy_pictures")
    theirs = CatalogueEntry("toy", "A toy.", {"digit": 10}, 1797, {}, "MIT", None)
    toy.ENTRIES = (theirs, theirs._replace(name="digits"))  # a name that is taken stays ours
    toy.open_entry = open_entry
    monkeypatch.setitem(sys.modules, "toy_pictures", toy)
    point = importlib.metadata.EntryPoint("toy", "toy_pictures", family.GROUP)
    broken = importlib.metadata.EntryPoint("broken", "no_such_module_at_all", family.GROUP)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [broken, point])
    found = [(entry.name, entry.state) for entry in catalogue(home)]
    assert [entry for entry in found if entry[0] in ("digits", "toy")] == [
        ("digits", "embedded"),
        ("toy", "not here"),
    ]
    assert open_dataset("toy", home=home).dataset.name == "toy"


def test_a_broken_package_is_named_and_does_no_harm(here, home, monkeypatch, capsys):
    broken = importlib.metadata.EntryPoint("broken", "no_such_module_at_all", family.GROUP)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [broken])
    ours = [entry.name for entry in catalogue(home)]
    assert {"digits", "domainnet", "oxford", "paris", "wikiart"} <= set(ours)
    assert "no_such_module_at_all cannot be loaded" in capsys.readouterr().err


def test_a_view_is_prepared_where_its_parts_are(here, home, make_dataset, monkeypatch):
    toy = types.ModuleType("toy_views")
    whole = CatalogueEntry("noise", "Noise.", {"label": 3}, 60, {"train": 60}, "MIT", 9)
    toy.ENTRIES = (whole, whole._replace(name="noise/some"))
    toy.parts = lambda name: () if name == "noise" else ("noise",)
    toy.open_entry = open_entry
    monkeypatch.setitem(sys.modules, "toy_views", toy)
    point = importlib.metadata.EntryPoint("toy", "toy_views", family.GROUP)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point])

    def states():
        return {e.name: (e.state, e.size) for e in catalogue(home) if e.name.startswith("noise")}

    assert states() == {"noise": ("not here", 9), "noise/some": ("not here", 9)}
    prepare(replace(make_dataset(), name="noise"), home=home)
    assert states()["noise/some"] == ("prepared", 0)  # nothing is stored twice


def test_splits_are_counted_where_tasks_differ_in_them(home, make_dataset):
    dataset = make_dataset(12)
    labels = np.array([0, 1, -1] * 4)
    splits = np.array(["train", "test", ""] * 4, dtype=object)
    dataset = replace(
        dataset,
        name="noise",
        tasks={"style": Task("style", ("old", "new")), **dataset.tasks},
        labels={"style": labels, **dataset.labels},
        splits={"style": splits, **dataset.splits},
    )
    prepare(dataset, home=home)
    entry = next(entry for entry in catalogue(home) if entry.name == "noise")
    assert (entry.pictures, entry.splits) == (12, {"train": 4, "test": 4})


def test_a_folder_of_that_name_does_not_stand_in_the_way_of_the_catalogue(here, home):
    (here / "digits" / "cat").mkdir(parents=True)
    assert open_catalogued("digits", home=home).location is None
    with pytest.raises(NotPrepared, match="cliplab prepare paris"):
        open_catalogued("paris", home=home)
    with pytest.raises(UnknownName, match="'digits'"):
        open_catalogued("digit", home=home)


def test_what_is_made_of_others_is_here_when_they_are(here, home, make_dataset):
    def state(name):
        return next(entry.state for entry in catalogue(home) if entry.name == name)

    for domain in ("clipart", "infograph", "painting", "quickdraw", "real"):
        prepare(make_dataset(name=f"domainnet/{domain}"), home=home)
    assert (state("domainnet/real"), state("domainnet/sketch")) == ("prepared", "not here")
    assert state("domainnet") == "not here"
    prepare(make_dataset(name="domainnet/sketch"), home=home)
    assert state("domainnet") == "prepared"
    assert state("wikiart/artist195") == "not here"
