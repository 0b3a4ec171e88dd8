"""Predictions to numbers: what is scored, what is not, and at what cost."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest

from cliplab.metrics.calibration import fit_temperature, tempered
from cliplab.metrics.scores import calibration, score, score_without
from cliplab.nouns import Predictions


def predictions(scores: np.ndarray, labels: np.ndarray) -> Predictions:
    ids = np.array([f"{i}.png" for i in range(len(labels))], dtype=object)
    names = tuple(f"class {i}" for i in range(scores.shape[1]))
    return Predictions(ids, labels.astype(np.int64), scores.astype(np.float32), names)


def some(n: int, n_classes: int, seed: int = 0) -> Predictions:
    from scipy.special import log_softmax

    generator = np.random.default_rng(seed)
    labels = generator.integers(0, n_classes, n)
    logits = generator.normal(size=(n, n_classes)).astype(np.float32)
    logits[np.arange(n), labels] += 1.5
    return predictions(log_softmax(logits, axis=1), labels)


def test_worked_by_hand():
    scores = np.log([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3]])
    found = score(predictions(scores, np.array([0, 0, 0, 1])))
    assert found.metrics["top1"].value == 0.75
    assert found.metrics["mean_per_class"].value == pytest.approx((2 / 3 + 1) / 2)
    assert found.metrics["ece"].value == pytest.approx((0.3 + 0.4 + 0.8 + 0.5) / 4)
    assert found.metrics["top5"].value is None  # of three classes it could not be wrong
    assert found.per_class[2].accuracy is None
    assert found.confusion.tolist() == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_every_value_lies_in_its_interval():
    found = score(some(400, 8))
    assert set(found.metrics) == {"top1", "top5", "mean_per_class", "ece"}
    for name, (value, low, high) in found.metrics.items():
        assert 0 <= low < high <= 1
        if name != "ece":  # resampling adds noise to an error, which moves its interval up
            assert low <= value <= high


def test_interval_of_mean_per_class_is_that_of_resampled_pictures():
    one = some(300, 6)
    labels, right = one.labels, one.predicted == one.labels
    generator = np.random.default_rng(1)
    values = []
    for _ in range(4000):
        rows = generator.integers(0, 300, 300)
        n, hits = np.bincount(labels[rows], minlength=6), np.bincount(labels[rows], right[rows], 6)
        values.append((hits / n).mean())
    found = score(one).metrics["mean_per_class"]
    assert found[1:] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.008)


def test_same_seed_same_numbers_and_no_order_of_pictures():
    one = some(200, 6)
    rows = np.random.default_rng(0).permutation(200)
    other = score(predictions(one.scores[rows], one.labels[rows]), seed=5)
    first = score(one, seed=5)
    assert first.metrics == score(one, seed=5).metrics
    for name, measure in first.metrics.items():
        assert measure == pytest.approx(other.metrics[name], abs=1e-12)


def test_nothing_to_score_is_not_scored():
    found = score(predictions(np.zeros((0, 7)), np.zeros(0)))
    assert all(measure.value is None for measure in found.metrics.values())
    assert all(row.accuracy is None for row in found.per_class)


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        score(predictions(np.full((2, 3), np.nan), np.zeros(2)))


def test_intervals_cost_the_same_however_many_pictures():
    one = some(50_000, 345)
    started = time.process_time()
    score(one)
    assert time.process_time() - started < 10  # some 1 s; picture by picture, minutes


def test_calibration_tells_both_ways_of_being_sure():
    told, unseen = some(400, 5, seed=1), some(300, 5, seed=2)
    sharper = dataclasses.replace(told, scores=told.scores * 3)
    sharper = predictions(tempered(sharper.scores, 1.0), told.labels)
    same = predictions(tempered(unseen.scores * np.float32(3), 1.0), unseen.labels)
    block = calibration(sharper, same, "some pictures")
    assert block["temperature"] == pytest.approx(fit_temperature(same.scores, same.labels).value)
    assert block["temperature"] > 1.5
    assert block["ece_tempered"] < 0.5 * block["ece"]
    assert block["ece"] == pytest.approx(score(sharper).metrics["ece"].value)
    assert (block["fitted_on"], block["n_fitted"]) == ("some pictures", 300)
    for rows in (block["reliability"], block["reliability_tempered"]):
        assert len(rows) == 15
        assert sum(row["n"] for row in rows) == 400
        weighed = [row["n"] * abs(row["accuracy"] - row["confidence"]) for row in rows if row["n"]]
        ece = block["ece"] if rows is block["reliability"] else block["ece_tempered"]
        assert sum(weighed) / 400 == pytest.approx(ece)
    assert all(row["accuracy"] is None for row in block["reliability"] if not row["n"])


def test_without_unseen_pictures_there_is_no_temperature():
    block = calibration(some(40, 5), None, "no training pictures were read")
    assert block["temperature"] is None
    assert block["ece_tempered"] is None
    assert block["reliability_tempered"] is None
    assert block["ece"] is not None


def test_without_a_catch_all_class_its_pictures_are_left_out_and_it_stays_a_candidate():
    scores = np.log([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7], [0.2, 0.3, 0.5]])
    told = predictions(scores, np.array([0, 1, 1, 2]))
    rest = score_without(told, [2])
    assert (rest.classes, rest.n) == (("class 2",), 3)
    assert rest.metrics["top1"].value == pytest.approx(1 / 3)  # the third is taken for class 2
    assert rest.metrics["mean_per_class"].value == pytest.approx((1 + 0) / 2)
    assert score_without(told, [0, 2]).metrics["top1"].value == 0.0
    assert score_without(told, []) is None


def test_without_the_only_class_that_has_pictures_nothing_is_scored():
    told = predictions(np.log([[0.7, 0.3], [0.6, 0.4]]), np.array([0, 0]))
    rest = score_without(told, [0])
    assert rest.n == 0
    assert set(rest.metrics) == set(score(told).metrics)
    assert all(measure.value is None for measure in rest.metrics.values())


def test_without_classes_that_have_no_picture_the_numbers_are_those_of_all():
    told = some(60, 4)
    kept = np.flatnonzero(told.labels != 3)
    fewer = Predictions(told.ids[kept], told.labels[kept], told.scores[kept], told.class_names)
    assert score_without(fewer, [3], seed=5).metrics == score(fewer, seed=5).metrics
