from __future__ import annotations

import numpy as np
import pytest
from tests.datasets.miniatures import make_oxford, make_paris, write_tgz

from cliplab.datasets import oxford, paris
from cliplab.datasets.landmarks import parse_truth, word_of
from cliplab.datasets.splits import fixed_split
from cliplab.nouns import Query
from cliplab.runtime.errors import DataError

OXFORD_COUNTS = {
    **{"all_souls": 132, "ashmolean": 195, "balliol": 154, "bodleian": 214, "christ_church": 543},
    **{"cornmarket": 59, "hertford": 67, "jesus": 161, "keble": 121, "magdalen": 685, "new": 458},
    **{"oriel": 95, "oxford": 1502, "pitt_rivers": 108, "radcliffe_camera": 282, "trinity": 217},
    "worcester": 70,
}
PARIS_COUNTS = {
    **{"defense": 381, "eiffel": 147, "general": 1497, "invalides": 452, "louvre": 266},
    **{"moulinrouge": 444, "museedorsay": 739, "notredame": 444, "pantheon": 659},
    **{"pompidou": 436, "sacrecoeur": 377, "triomphe": 550},
}


def truth_texts(shared_data, name):
    return {p.name: p.read_text() for p in (shared_data / name / "ground_truth").rglob("*.txt")}


@pytest.mark.parametrize(
    ("module", "n", "counts"), [(oxford, 5063, OXFORD_COUNTS), (paris, 6392, PARIS_COUNTS)]
)
def test_all_names_fall_into_the_search_words(shared_data, module, n, counts):
    buildings = module.BUILDINGS
    names = (shared_data / buildings.name / "image_names.txt").read_text().split()
    words = [word_of(name, buildings.prefix) for name in names]
    assert len(set(names)) == n
    assert {word: words.count(word) for word in buildings.words} == counts
    assert len(buildings.words) == len(counts)
    assert n + len(buildings.damaged) in buildings.complete


def test_the_damaged_files_are_the_known_ones(shared_data):
    known = (shared_data / "paris/corrupt_20.txt").read_text().split()
    assert list(paris.BUILDINGS.damaged) == known
    assert len(known) == 20


@pytest.mark.parametrize(
    ("module", "labelled", "both"),
    [(oxford, 566, "all_souls_000183.jpg"), (paris, 1789, "paris_general_002150.jpg")],
)
def test_the_whole_ground_truth(shared_data, module, labelled, both):
    buildings = module.BUILDINGS
    names = (shared_data / buildings.name / "image_names.txt").read_text().split()
    truth = parse_truth(truth_texts(shared_data, buildings.name), names, buildings.query_prefix)
    assert len(truth.queries) == 55
    assert set(truth.landmarks.values()) == set(buildings.landmarks)
    assert len(buildings.landmarks) == 11
    assert len(truth.landmarks) == labelled
    assert truth.several == (both,)
    assert truth.absent == 0
    for query in truth.queries:
        assert not set(query.good) & set(query.ok)
        assert not set(query.junk) & {*query.good, *query.ok}
        assert query.id in {*query.good, *query.ok}
        assert query.box[0] < query.box[2]
        assert query.box[1] < query.box[3]


def test_a_query_of_oxford_as_it_stands_in_its_files(shared_data):
    names = (shared_data / "oxford/image_names.txt").read_text().split()
    truth = parse_truth(truth_texts(shared_data, "oxford"), names, "oxc1_")
    first = truth.queries[0]
    assert first.name == "all_souls_1"
    assert first.id == "all_souls_000013.jpg"
    assert first.box == (136.5, 34.1, 648.5, 955.7)
    assert len(first.good) == 24  # 25 lines, one of them twice
    assert (len(first.ok), len(first.junk)) == (54, 33)


def test_ground_truth_by_hand():
    texts = {
        "deep/a_1_query.txt": "oxc1_a_000 0 1 2.5 3",
        "deep/a_1_good.txt": "a_000\na_000\n",
        "deep/a_1_ok.txt": "b_001\ngone_002",
        "deep/a_1_junk.txt": "c_003",
        "b_1_query.txt": "oxc1_gone_002 0 0 1 1",
        "b_1_good.txt": "b_001 b_004",
        "b_1_ok.txt": "",
        "b_1_junk.txt": "",
        "README.txt": "nothing of ours",
    }
    truth = parse_truth(texts, ["a_000.jpg", "b_001.jpg", "c_003.jpg", "b_004.jpeg"], "oxc1_")
    only = Query("a_1", "a_000.jpg", (0, 1, 2.5, 3), ("a_000.jpg",), ("b_001.jpg",), ("c_003.jpg",))
    assert truth.queries == (only,)  # the other one's photograph is not there
    assert truth.landmarks == {"a_000.jpg": "a", "b_004.jpeg": "b"}
    assert truth.several == ("b_001.jpg",)
    assert truth.absent == 1


def test_faults_of_the_ground_truth_are_told_together():
    texts = {f"a_{n}_{kind}.txt": "a_0" for n in (1, 2) for kind in ("query", "good", "ok", "junk")}
    del texts["a_1_junk.txt"]
    with pytest.raises(DataError) as caught:
        parse_truth(texts, ["a_0.jpg"])
    assert "a_1_junk.txt is missing" in str(caught.value)
    assert "a_2_query.txt holds 'a_0', not a name and a box" in str(caught.value)


def read(made, module, *, older=False):
    files = {}
    for remote in module.remotes():
        name = remote.other_names[0] if older and remote.other_names else remote.name
        files[remote.name] = made.folder / name
    return module.read_archives(module.NAME, files)


@pytest.mark.parametrize(("module", "make"), [(oxford, make_oxford), (paris, make_paris)])
@pytest.mark.parametrize("blurred", [True, False])
def test_photographs_out_of_their_archives(tmp_path, module, make, blurred):
    made = make(tmp_path, blurred=blurred)
    found = read(made, module, older=not blurred)
    assert set(found.ids) == set(made.pictures)
    assert found.split_origin == "fixed"
    for task in ("query_word", "landmark"):
        assert (found.splits[task] == fixed_split(found.ids, found.labels[task])).all()
        assert set(found.labels[task]) - {-1} == set(range(len(found.task(task).class_names)))
    assert (found.labels["query_word"] >= 0).all()
    assert (found.labels["landmark"] == -1).any()
    for id_, content in zip(found.ids, found.source.open(range(len(found))), strict=True):
        assert content() == made.pictures[id_]
    assert len(found.queries) == 55
    assert {query.id for query in found.queries} <= set(found.ids)


def test_rows_stand_in_the_order_of_the_archives(tmp_path):
    made = make_paris(tmp_path)
    found = read(made, paris)
    starts = [(member.archive, member.start) for member in found.source.members]
    assert starts == sorted(starts)


def test_a_damaged_file_that_a_copy_lacks_is_a_row_all_the_same(tmp_path):
    made = make_paris(tmp_path)
    whole = read(made, paris)
    kept = {n: c for n, c in made.pictures.items() if n not in paris.BUILDINGS.damaged}
    for archive in paris.PHOTOGRAPHS:
        write_tgz(tmp_path / archive, {f"p/{n}": c for n, c in kept.items()})
    lacking = read(made, paris)
    assert sorted(lacking.ids) == sorted(whole.ids)
    for task in whole.tasks:
        before = dict(zip(whole.ids, whole.splits[task], strict=True))
        assert before == dict(zip(lacking.ids, lacking.splits[task], strict=True))
    row = list(lacking.ids).index(paris.BUILDINGS.damaged[0])
    with pytest.raises(OSError, match="known to be damaged at the source"):
        next(lacking.source.open([row]))()


def test_a_page_in_place_of_a_photograph_is_named(tmp_path):
    from cliplab.pictures.decode import decode

    made = make_paris(tmp_path)
    found = read(made, paris)
    row = list(found.ids).index(paris.BUILDINGS.damaged[1])
    with pytest.raises(DataError, match="HTML page"):
        decode(next(found.source.open([row]))())


def test_other_photographs_and_none_are_refused(tmp_path):
    made = make_oxford(tmp_path)
    write_tgz(tmp_path / oxford.PHOTOGRAPHS, {"cambridge_000001.jpg": b"x", "._new_1.jpg": b"x"})
    with pytest.raises(DataError, match=r"none of the 17 search words(.|\n)*cambridge_000001\.jpg"):
        read(made, oxford)
    write_tgz(tmp_path / oxford.PHOTOGRAPHS, {"README": b"x"})
    with pytest.raises(DataError, match="no photographs"):
        read(made, oxford)


def test_what_is_not_complete_is_said(tmp_path, capsys):
    read(make_oxford(tmp_path), oxford)
    said = capsys.readouterr().err
    assert "the complete archives hold 5,062 or 5,063" in said


def test_the_card_and_the_entry_say_what_the_labels_are(home):
    for module in (oxford, paris):
        assert "words that Flickr was searched for" in module.card().description
        assert module.ENTRIES[0].tasks == {
            "query_word": len(module.BUILDINGS.words),
            "landmark": 11,
        }
        with pytest.raises(DataError, match=f"`cliplab prepare {module.NAME}`"):
            module.open_entry(module.NAME, home=home)


@pytest.mark.parametrize("module", [oxford, paris])
def test_the_counts_of_the_catalogue_are_those_of_the_fixed_split(shared_data, module):
    buildings = module.BUILDINGS
    names = (shared_data / buildings.name / "image_names.txt").read_text().split()
    names += buildings.damaged
    number = {word: label for label, word in enumerate(buildings.words)}
    labels = np.array([number[word_of(name, buildings.prefix)] for name in names])
    splits = fixed_split(names, labels)
    found = {split: int((splits == split).sum()) for split in ("train", "test")}
    assert module.ENTRIES[0].splits == found
    assert module.ENTRIES[0].pictures == len(names)
