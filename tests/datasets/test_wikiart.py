from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from tests.datasets.miniatures import make_wikiart, write_zip

from cliplab.datasets import wikiart
from cliplab.datasets.duplicates import deduplicated, doubles, picture_keys
from cliplab.datasets.splits import fixed_split
from cliplab.datasets.wikiart_artists import STYLES, artist_of, in_words, of_many_paintings
from cliplab.datasets.wikiart_lists import parse_list, repaired
from cliplab.nouns import Dataset
from cliplab.runtime.archives import Refused
from cliplab.runtime.errors import DataError

LINES = {  # of the lists of training and validation
    "style": (57_025, 24_421),
    "genre": (45_503, 19_492),
    "artist": (13_346, 5_706),
}


@pytest.fixture(scope="module")
def texts(shared_data) -> dict[tuple[str, str], str]:
    found = {}
    for task in wikiart.CLASSES:
        for split, part in (("train", "train"), ("test", "val")):
            path = next((shared_data / "wikiart").glob(f"{task}_{part}*.gz"))
            found[task, split] = gzip.decompress(path.read_bytes()).decode("utf-8")
    return found


@pytest.fixture(scope="module")
def whole(texts) -> Dataset:
    """All of WikiArt but for the pictures."""
    paths, labels, splits = wikiart.gather(texts)
    ids = np.array([repaired(path) for path in paths], dtype=object)
    unknown = np.full(len(ids), "", dtype=object)
    return Dataset("wikiart", wikiart.tasks(), ids, labels, splits, unknown, source=None)


def counts(dataset, task):
    return tuple(len(dataset.rows(task, split)) for split in ("train", "test"))


def test_the_lists_in_full(texts):
    for task, (train, test) in LINES.items():
        n_classes = len(wikiart.CLASSES[task])
        found = [parse_list(texts[task, split], n_classes, task) for split in ("train", "test")]
        assert (len(found[0]), len(found[1])) == (train, test)
        assert {p.label for lines in found for p in lines} == set(range(n_classes))
    folders = wikiart.style_folders()
    assert {p.path.split("/")[0] for p in parse_list(texts["style", "train"], 27, "")} == set(
        folders
    )
    for painting in parse_list(texts["style", "test"], 27, ""):
        assert painting.path.split("/")[0] == folders[painting.label]


def test_the_classes_are_those_of_the_class_files(shared_data):
    for task, names in wikiart.CLASSES.items():
        path = next((shared_data / "wikiart").glob(f"{task}_class*"))
        told = gzip.decompress(path.read_bytes()).decode().split("\n")
        assert [line for line in told if line] == [f"{i} {name}" for i, name in enumerate(names)]


def test_the_whole_data_set(whole):
    assert len(whole) == len(set(whole.ids)) == 81_446
    assert counts(whole, "style") == LINES["style"]
    assert counts(whole, "artist") == LINES["artist"]
    assert counts(whole, "genre") == (45_503, 19_491)  # one painting stands in the list twice
    row = list(whole.ids).index("Post_Impressionism/maurice-de-vlaminck_the-village.jpg")
    assert whole.tasks["genre"].class_names[whole.labels["genre"][row]] == "cityscape"
    entry = wikiart.ENTRIES[0]
    assert entry.pictures == len(whole)
    assert tuple(entry.splits.values()) == counts(whole, "style")
    assert len({artist_of(id_) for id_ in whole.ids}) == 1_119


def test_broken_names_are_mended(whole, texts):
    paths, _labels, _splits = wikiart.gather(texts)
    broken = [path for path in paths if not path.isascii()]
    assert len(broken) == 709
    artists = {artist_of(repaired(path)) for path in broken}
    assert {"joaquín-sorolla", "arnold-böcklin", "eugène-grasset", "georges-lacombe"} <= artists
    assert not [id_ for id_ in whole.ids if not id_.isprintable()]


def test_doubles_are_counted_and_removed(whole):
    keys = picture_keys(whole)
    found = doubles(keys, whole.labels["style"], whole.splits["style"])
    assert found == (1_349, 2_698, 9)
    assert "1,349 file names stand under more than one style" in wikiart.told_of_doubles(whole)
    assert "style 9, genre 0, artist 0" in wikiart.told_of_doubles(whole)
    once = deduplicated(whole)
    assert once.name == "wikiart/deduplicated"
    assert sum(counts(once, "style")) == 80_097
    for task in once.tasks:
        found = doubles(picture_keys(once), once.labels[task], once.splits[task])
        assert found == (0, 0, 0)
    entry = next(e for e in wikiart.ENTRIES if e.name == once.name)
    assert entry.pictures == len(once)
    assert tuple(entry.splits.values()) == counts(once, "style")
    assert deduplicated(once) is once


def test_the_artists_of_many_paintings(whole):
    found = of_many_paintings(whole)
    assert found.name == "wikiart/artist195"
    assert len(found.tasks["artist195"].class_names) == 195
    assert len(found) == 52_757
    for task in ("artist195", "style13"):
        assert (found.splits[task] == fixed_split(found.ids, found.labels[task])).all()
    assert found.split_origin == "fixed"
    artists = [in_words(artist_of(id_)) for id_ in found.ids]
    names = found.tasks["artist195"].class_names
    assert artists == [names[label] for label in found.labels["artist195"]]
    assert np.bincount(found.labels["artist195"]).min() >= 100
    entry = next(e for e in wikiart.ENTRIES if e.name == found.name)
    assert entry.pictures == len(found)
    assert entry.tasks == {task: len(t.class_names) for task, t in found.tasks.items()}
    assert tuple(entry.splits.values()) == counts(found, "artist195")


def test_thirteen_styles_weighted_by_their_counts_give_the_reported_totals(whole, shared_data):
    facts = shared_data.parent / "facts/reported_results.json"
    reported = json.loads(facts.read_text())["wikiart"]
    found = of_many_paintings(whole)
    labels = found.labels["style13"]
    assert tuple(reported["rows"]) == STYLES == found.tasks["style13"].class_names
    n = np.bincount(labels[labels >= 0])
    totals = n @ np.array(list(reported["rows"].values())) / n.sum()
    assert np.abs(totals - reported["overall"]).max() < 0.25


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("<html>", "line 2 is '<html>', expected"),
        ("Cubism/a_b.jpg,27", "line 2: label 27, expected 0 to 26"),
        ("a_b.jpg,3", "line 2 is"),
    ],
)
def test_what_is_not_the_list_is_refused_with_its_lines(line, fault):
    with pytest.raises(DataError, match=fault):
        parse_list(f"Cubism/a_b.jpg,7\n{line}\n", 27, "a list")


def test_the_artists_lists_have_a_heading_and_two_commas():
    text = "(Path to image),, (Groundtruth class) \n\nCubism/a,_b.jpg,,7\r\n\n"
    assert parse_list(text, 23, "a list") == [("Cubism/a,_b.jpg", 7)]


def test_a_painting_in_two_splits_of_a_task_is_refused():
    line = "Cubism/a_b.jpg,7"
    with pytest.raises(DataError, match="training and in the test list of style"):
        wikiart.gather({("style", "train"): line, ("style", "test"): line})


def read(made):
    files = {remote.name: made.folder / remote.name for remote in wikiart.remotes("wikiart")}
    return wikiart.read_archives("wikiart", files)


def test_paintings_out_of_the_archive_however_it_spells_them(tmp_path, capsys):
    made = make_wikiart(tmp_path)
    found = read(made)
    assert len(made.pictures) == len(found) - 1
    lost = 0
    pairs = zip(found.ids, found.source.members, strict=True)
    for (id_, member), content in zip(pairs, found.source.open(range(len(found))), strict=True):
        if isinstance(member, Refused):
            lost += 1
            assert member.reason == "not in wikiart.zip"
        else:
            assert content() == made.pictures[id_]
    assert lost == 1
    assert any("sorolla" in id_ and "í" in id_ for id_ in found.ids)
    said = capsys.readouterr().err
    assert "paintings that the archive spells otherwise" in said
    assert "2 file names stand under more than one style" in said
    assert "style 1" in said


def test_another_archive_is_refused_with_the_way_to_the_right_one(tmp_path):
    made = make_wikiart(tmp_path)
    write_zip(tmp_path / "wikiart.zip", {"photos/1.jpg": b"x"})
    with pytest.raises(DataError, match=r"holds none of the .*drive\.google\.com"):
        read(made)


def test_the_archive_is_fetched_by_hand_and_lists_from_their_repository():
    archive, *lists = wikiart.remotes("wikiart")
    assert "drive.google.com" in archive.by_hand
    assert "--archives FOLDER" in archive.by_hand
    assert [one.name for one in lists][:2] == ["style_train.csv", "style_val.csv"]
    assert lists[-1].urls[0].endswith("/Artist/artist_val")
    assert lists[-1].other_names == ("artist_val",)


def test_views_stand_for_the_data_set_that_is_prepared(home):
    assert wikiart.parts("wikiart/artist195") == wikiart.parts("wikiart") == ("wikiart",)
    assert wikiart.parts("photos") == ()
    with pytest.raises(DataError, match=r"is made of wikiart, .*`cliplab prepare wikiart`"):
        wikiart.open_entry("wikiart/artist195", home=home)
