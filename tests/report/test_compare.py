from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from cliplab.nouns import Skipped
from cliplab.report import compare as module
from cliplab.report.blocks import plain
from cliplab.report.compare import compare, compare_runs
from cliplab.report.layout import render
from cliplab.report.record import write_run
from cliplab.report.tables import comparison_table
from cliplab.runtime.errors import DataError, UsageError

RIGHT, ONE_WRONG, TWO_WRONG = [0, 1, 1, 0], [0, 1, 2, 0], [0, 2, 2, 0]


def test_each_classifier_is_measured_against_its_best(make, tmp_path):
    def run(name, zero_shot, probe):
        told = {"zero_shot": zero_shot, "linear_probe": probe}
        told = {classifier: make.predictions(p) for classifier, p in told.items()}
        return make.run(tmp_path / name, told, encoder=name)

    found = compare([run("a", TWO_WRONG, RIGHT), run("b", ONE_WRONG, ONE_WRONG)])
    assert [(r.encoder, r.classifier, r.best) for r in found.results] == [
        ("a", "zero_shot", False),
        ("a", "linear_probe", True),
        ("b", "zero_shot", True),
        ("b", "linear_probe", False),
    ]
    assert [r.difference and r.difference.value for r in found.results] == [
        -0.25, None, None, -0.25,
    ]  # fmt: skip
    assert (found.n, found.dataset, found.class_names) == (4, "pets", ("cat", "dog", "owl"))


def test_mcnemar_stands_beside_the_difference(make, tmp_path):
    runs = [
        make.run(tmp_path / name, {"knn": make.predictions(told)})
        for name, told in (("a", TWO_WRONG), ("b", RIGHT))
    ]
    behind, best = compare(runs).results
    assert best.mcnemar is None
    assert behind.mcnemar[:2] == (0, 2)
    assert behind.mcnemar.exact == pytest.approx(0.5)  # 2 (1/2)²
    assert behind.mcnemar.mid_p == pytest.approx(0.25)
    text = render(comparison_table(compare(runs)))
    assert "McNemar" in text
    assert "0.250" in text


def test_one_run_alone_measures_its_classifiers_against_each_other(run):
    zero_shot, probe = compare([run]).results
    assert probe.best
    assert zero_shot.difference.value == -0.25


def test_the_first_of_equals_is_the_best(make, tmp_path):
    runs = [make.run(tmp_path / n, {"knn": make.predictions(RIGHT)}) for n in "ab"]
    first, second = compare(runs).results
    assert (first.best, second.best) == (True, False)
    assert second.difference.value == 0


def test_pictures_are_joined_by_id_whatever_their_order(make, tmp_path, monkeypatch):
    pairs = []
    monkeypatch.setattr(module, "paired_difference", lambda a, b, seed: pairs.append((a, b, seed)))
    rng = np.random.default_rng(0)
    n = 50
    labels, ids = rng.integers(0, 3, n), np.array([f"{i:02}.png" for i in range(n)])
    worse, better = rng.integers(0, 3, n), np.where(rng.random(n) < 0.9, labels, 0)

    def run(name, told, order):
        predictions = make.predictions(told[order], labels[order], ids[order])
        return make.run(tmp_path / name, {"knn": predictions})

    compare([run("a", worse, rng.permutation(n)), run("b", better, rng.permutation(n))], seed=3)
    ((a, b, seed),) = pairs
    np.testing.assert_array_equal(a, worse == labels)
    np.testing.assert_array_equal(b, better == labels)
    assert seed == 3


@pytest.mark.parametrize(
    ("other", "dataset", "messages"),
    [
        (
            {"ids": ["0.png", "1.png", "2.png", "9.png"]},
            {},
            [r"1 pictures of a are not in b, such as 3\.png \(1 could not be read there\)",
             r"1 pictures of b are not in a, such as 9\.png"],
        ),
        (
            {"labels": [0, 1, 1, 2]},
            {},
            [r"a and b: 1 pictures have another label, such as 3\.png \('cat' and 'owl'\)"],
        ),
        (
            {"class_names": ("cat", "dog", "emu")},
            {"pictures_digest": "d" * 64},
            ["1 class names differ.*'owl' and 'emu'"],
        ),
        ({"class_names": ("dog", "cat", "owl")}, {}, ["same classes in another order"]),
        ({"class_names": ("cat", "dog", "owl", "emu")}, {}, ["3 and 4 classes"]),
        ({}, {"pictures_digest": "d" * 64}, ["same ids and labels, but the pictures' files"]),
    ],
)  # fmt: skip
def test_other_test_sets_are_refused_with_what_differs(make, tmp_path, other, dataset, messages):
    a = make.run(tmp_path / "a", {"knn": make.predictions(RIGHT)})
    told = make.predictions(RIGHT, **other)
    skipped = (Skipped("3.png", "truncated"),)
    b = make.run(tmp_path / "b", {"knn": told}, dataset=dataset, skipped=skipped)
    for message in ["not scored on the same test set", *messages]:
        with pytest.raises(DataError, match=message):
            compare([a, b])


def test_classes_may_be_called_otherwise_as_long_as_they_are_the_same(make, tmp_path):
    """So that one can see which names serve zero-shot better."""
    a = make.run(tmp_path / "a", {"knn": make.predictions(RIGHT)})
    names = ("Katze", "Hund", "owl")
    b = make.run(tmp_path / "b", {"knn": make.predictions(RIGHT, class_names=names)})
    assert [result.best for result in compare([a, b]).results] == [True, False]


def test_a_picture_that_one_run_skipped_is_enough_to_refuse(make, tmp_path):
    a = make.run(tmp_path / "a", {"knn": make.predictions(RIGHT)})
    less = make.predictions([0, 1, 1], (0, 1, 1))
    b = make.run(tmp_path / "b", {"knn": less}, skipped=(Skipped("3.png", "truncated"),))
    with pytest.raises(DataError, match=r"3\.png \(1 could not be read there\)"):
        compare([a, b])


def test_records_and_predictions_that_do_not_belong_together_are_refused(run):
    with pytest.raises(DataError, match=r"predictions\.parquet lacks linear_probe"):
        compare([run._replace(predictions={"zero_shot": run.predictions["zero_shot"]})])


def test_nothing_to_compare(make, tmp_path):
    with pytest.raises(UsageError, match="No runs to compare"):
        compare([])
    with pytest.raises(DataError, match="no classifier was scored"):
        compare([make.run(tmp_path, {})])


def test_json_is_plain(run):
    data = json.loads(json.dumps(plain(compare([run])), allow_nan=False))
    assert data["results"][0]["metrics"]["top1"] == {"value": 0.75, "low": 0.3, "high": 0.955}
    assert data["results"][0]["difference"]["value"] == -0.25
    assert data["results"][1]["difference"] is None
    assert data["class_names"] == ["cat", "dog", "owl"]


def test_runs_are_compared_by_name_or_all_over_the_newest_test_set(make, tmp_path):
    def write(name, hour, class_names=("cat", "dog", "owl"), **dataset):
        created = datetime(2026, 11, 24, hour, tzinfo=UTC)
        told = {"knn": make.predictions(RIGHT, class_names=class_names)}
        run = make.run(tmp_path / name, told, encoder=name, dataset=dataset, created=created)
        write_run(run.record.run, run.record, run.predictions)

    write("old", 1)
    write("other", 2, pictures_digest="e" * 64)
    write("renamed", 2, ("kitty", "dog", "owl"))
    write("new", 3)
    names = [r.encoder for r in compare_runs(root=tmp_path).results]
    assert names == ["new", "renamed", "old"]
    names = [r.encoder for r in compare_runs(["old", "latest", "new"], root=tmp_path).results]
    assert names == ["old", "new"]
    with pytest.raises(DataError, match="pictures' files were changed"):
        compare_runs(["old", "other"], root=tmp_path)
