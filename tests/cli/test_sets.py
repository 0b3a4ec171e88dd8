"""The named data sets from a folder of archives to tables: the real commands, small archives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.datasets.miniatures import (
    accept,
    make_domainnet,
    make_oxford,
    make_paris,
    make_wikiart,
)

from cliplab.datasets.domainnet import DOMAINS

T_SHIRT, SYRINGE = 327, 300
LABELS = (0, 66, SYRINGE, T_SHIRT)


@pytest.fixture
def evaluated(cliplab, tiny_clip):
    """A function that evaluates through a tiny CLIP and gives the record."""

    def call(name: str, *options: object) -> dict:
        ended = cliplab("evaluate", name, "-e", tiny_clip, "--c", "1", "--json", *options)
        assert ended.code == 0, ended.err
        return ended.json()

    return call


def prepare(cliplab, name: str, folder: Path):
    ended = cliplab("prepare", name, "--archives", folder, "--offline")
    assert ended.code == 0, ended.err
    return ended


def states(cliplab) -> dict[str, str]:
    return {entry["name"]: entry["state"] for entry in cliplab("datasets", "--json").json()}


def test_a_domain_with_classes_that_nothing_teaches(
    cliplab, evaluated, tmp_path, monkeypatch, tiny_clip
):
    made = make_domainnet(tmp_path / "archives", ("painting",), per_class=2, labels=LABELS)
    accept(monkeypatch, made)
    ended = prepare(cliplab, "domainnet/painting", made.folder)
    assert "fair use" in ended.err
    record = evaluated("domainnet/painting")
    zero_shot, probe = record["results"]
    by_name = {row["name"]: row for row in probe["per_class"]}
    assert (by_name["t-shirt"]["n"], by_name["t-shirt"]["correct"]) == (2, 0)
    assert (by_name["syringe"]["n"], by_name["syringe"]["accuracy"]) == (0, None)
    assert len(zero_shot["per_class"]) == len(probe["per_class"]) == 345
    assert record["dataset"]["n"] == 6
    assert record["dataset"]["untrained"] == ["t-shirt"]
    assert len(probe["classifier"]["settings"]["untrained_classes"]) == 342
    assert probe["metrics"]["top1"]["value"] <= 4 / 6
    (warning,) = record["warnings"]
    assert "no training picture (t-shirt)" in warning
    assert "their 2 test pictures count as wrong" in warning
    ended = cliplab("evaluate", "domainnet/painting", "-e", tiny_clip, "--c", "1", "--all-classes")
    first = ended.out.splitlines()[0]
    assert "1 class without training pictures (t-shirt)" in first
    assert "cliplab: warning: 1 of 345 classes have no training picture" in ended.err
    (syringe,) = [line for line in ended.out.splitlines() if line.strip().startswith("syringe")]
    assert syringe.split()[1:] == ["0", "–", "–", "–", "–"]


def test_a_single_domain_cannot_teach_domains(cliplab, evaluated, tmp_path, monkeypatch, tiny_clip):
    made = make_domainnet(tmp_path / "archives", ("sketch",), labels=(0, 1))
    accept(monkeypatch, made)
    prepare(cliplab, "domainnet/sketch", made.folder)
    ended = cliplab("evaluate", "domainnet/sketch:domain", "-e", tiny_clip)
    assert ended.code == 1
    assert "training pictures of one class of 'domain' at most" in ended.err
    record = evaluated("domainnet/sketch:domain", "--classifier", "zero_shot")
    assert [row["n"] for row in record["results"][0]["per_class"]] == [0, 0, 0, 0, 0, 2]


def test_all_six_domains_are_one_data_set_stored_once(
    cliplab, evaluated, tmp_path, home, monkeypatch, tiny_clip
):
    made = make_domainnet(tmp_path / "archives", per_class=2, labels=LABELS[:3])
    accept(monkeypatch, made)
    prepare(cliplab, "domainnet/real", made.folder)
    ended = cliplab("evaluate", "domainnet", "-e", tiny_clip)
    assert ended.code == 1
    assert "is made of domainnet/clipart, domainnet/infograph, " in ended.err
    assert "`cliplab prepare domainnet/clipart domainnet/infograph " in ended.err
    assert "domainnet/real" not in ended.err
    prepare(cliplab, "domainnet", made.folder)
    assert sorted(p.name for p in (home / "datasets/domainnet").iterdir() if p.is_dir()) == sorted(
        DOMAINS
    )
    assert {states(cliplab)[name] for name in ("domainnet", "domainnet/sketch")} == {"prepared"}
    record = evaluated("domainnet")
    assert record["dataset"]["n"] == 6 * 3 * 2 - 2
    assert record["dataset"]["n_total"] == len(made.pictures)
    by_domain = evaluated("domainnet:domain")
    assert [row["name"] for row in by_domain["results"][0]["per_class"]] == list(DOMAINS)
    assert by_domain["dataset"]["n"] == record["dataset"]["n"]
    assert by_domain["timings"]["pictures_encoded"] == 0


@pytest.mark.parametrize(("name", "make"), [("oxford", make_oxford), ("paris", make_paris)])
def test_buildings_by_word_and_by_landmark(cliplab, evaluated, tmp_path, home, name, make):
    made = make(tmp_path / "archives", blurred=name == "oxford")
    prepare(cliplab, name, made.folder)
    words, landmarks = evaluated(name), evaluated(f"{name}:landmark")
    assert words["dataset"]["task"] == "query_word"
    assert words["dataset"]["split_origin"] == "fixed"
    assert words["dataset"]["n_total"] == len(made.pictures)
    assert len(landmarks["results"][0]["per_class"]) == 11
    assert landmarks["dataset"]["n_total"] < len(made.pictures)
    assert landmarks["results"][1]["metrics"]["top1"]["value"] > 0.15  # of 11 colours
    card = (home / "datasets" / name / "README.md").read_text()
    assert "words that Flickr was searched for" in card.replace("\n", " ")
    manifest = json.loads((home / "datasets" / name / "cliplab.json").read_text())
    assert len(manifest["queries"]) == 55
    assert manifest["shards"][0]["split"] == "full"


def test_the_damaged_files_of_paris_are_listed_with_their_reasons(
    cliplab, evaluated, tmp_path, home
):
    made = make_paris(tmp_path / "archives")
    ended = prepare(cliplab, "paris", made.folder)
    assert "20 pictures cannot be read" in ended.err
    found = json.loads((home / "datasets/paris/cliplab.json").read_text())["unreadable"]
    reasons = [one["reason"] for one in found]
    assert len(reasons) == 20
    assert sum("HTML page" in reason for reason in reasons) == 10
    skipped = evaluated("paris")["skipped"]
    assert {one["id"] for one in skipped} == {one["id"] for one in found}


def test_queries_are_there_again_when_a_set_is_opened(cliplab, tmp_path, home):
    from cliplab.datasets.family import open_dataset

    prepare(cliplab, "oxford", make_oxford(tmp_path / "archives").folder)
    dataset, task = open_dataset("oxford:landmark", home=home)
    assert task == "landmark"
    assert len(dataset.queries) == 55
    first = dataset.queries[0]
    assert first.name == "all_souls_1"
    assert {first.id, *first.good, *first.ok, *first.junk} <= set(dataset.ids)


def test_wikiart_its_tasks_and_views(cliplab, evaluated, tmp_path, home, monkeypatch):
    monkeypatch.setattr("cliplab.datasets.wikiart_artists.MINIMUM", 3)
    made = make_wikiart(tmp_path / "archives")
    ended = prepare(cliplab, "wikiart/artist195", made.folder)  # prepares what it is a view of
    assert "2 file names stand under more than one style" in ended.err
    assert "1 pictures cannot be read" in ended.err
    assert [p.name for p in (home / "datasets").iterdir() if p.is_dir()] == ["wikiart"]
    found = states(cliplab)
    for name in ("wikiart", "wikiart/artist195", "wikiart/deduplicated"):
        assert found[name] == "prepared"
    for task, classes in (("style", 27), ("genre", 10), ("artist", 23)):
        record = evaluated(f"wikiart:{task}", "--classifier", "zero_shot")
        assert len(record["results"][0]["per_class"]) == classes
        assert record["dataset"]["split_origin"] == "given"
    style = evaluated("wikiart")
    (warning,) = style["warnings"]
    assert "1 of them on both sides of the split" in warning
    once, named = evaluated("wikiart", "--deduplicate"), evaluated("wikiart/deduplicated")
    assert once["dataset"]["name"] == named["dataset"]["name"] == "wikiart/deduplicated"
    assert once["config"]["deduplicate"] is True
    assert once["warnings"] == []
    for one, other in zip(once["results"], named["results"], strict=True):
        assert one["per_class"] == other["per_class"]
    assert once["dataset"]["n_total"] == style["dataset"]["n_total"] - 2
    artists = evaluated("wikiart/artist195:artist195")
    assert artists["dataset"]["split_origin"] == "fixed"
    assert artists["dataset"]["n_total"] < style["dataset"]["n_total"]
    styles = evaluated("wikiart/artist195:style13", "--classifier", "zero_shot")
    assert len(styles["results"][0]["per_class"]) == 13


def test_a_folder_with_a_class_that_nothing_teaches_is_an_error_still(cliplab, tmp_path, tiny_clip):
    from tests.datasets.miniatures import picture

    for split, classes in (("train", "ab"), ("test", "abc")):
        for name in classes:
            path = tmp_path / "mine" / split / name / f"{split}.jpg"
            path.parent.mkdir(parents=True)
            path.write_bytes(picture(str(path), name))
    ended = cliplab("evaluate", tmp_path / "mine", "-e", tiny_clip)
    assert ended.code == 1
    assert "1 of 3 classes have no training picture: 'c'" in ended.err
    assert "--classifier zero_shot" in ended.err
