"""Few-shot curves: balanced nested draws, nothing but the draw learned from, statistics by hand."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest
from scipy.stats import t

from cliplab.classifiers import linear_probe, nearest_mean
from cliplab.classifiers.family import Problem, take
from cliplab.embeddings.normalise import normalise
from cliplab.few_shot import check_shots, draw, few_shot
from cliplab.nouns import Embeddings
from cliplab.runtime.errors import DataError

NAMES = ("apple", "bee", "cup")
LABELS = np.repeat(np.arange(3), [12, 9, 10])
IDS = np.array([f"{NAMES[label]}/{i:02}" for i, label in enumerate(LABELS)], dtype=object)


def pictures(labels: np.ndarray, seed: int) -> Embeddings:
    noise = np.random.default_rng(seed).normal(size=(len(labels), 8))
    vectors = (np.eye(3, 8)[labels] * 2 + noise).astype(np.float32)
    ids = IDS if labels is LABELS else np.array([f"{seed}/{i}" for i in labels], dtype=object)
    return Embeddings(ids, vectors, None, labels, NAMES, {})


def problem(**changes) -> Problem:
    settings = {"class_names": NAMES, "class_vectors": normalise(np.eye(3, 8)), "seed": 7}
    return Problem(**settings | {"train": pictures(LABELS, 0)} | changes)


@pytest.fixture(scope="module")
def scored() -> Embeddings:
    return pictures(np.arange(90) % 3, seed=1)


@pytest.fixture(scope="module")
def curves(scored):
    names = ("zero_shot", "linear_probe", "nearest_mean")
    return few_shot(problem(), scored, names, shots=(1, 2, 8), repeats=3, zero_shot=0.7)


def test_a_draw_has_as_many_of_each_class_and_a_larger_one_holds_it():
    one, four = (draw(IDS, LABELS, n, repeat=2, seed=5) for n in (1, 4))
    assert np.bincount(LABELS[one]).tolist() == [1, 1, 1]
    assert np.bincount(LABELS[four]).tolist() == [4, 4, 4]
    assert set(one) < set(four)


def test_a_draw_depends_on_ids_seed_and_repeat_alone():
    rows = np.random.default_rng(0).permutation(len(IDS))
    plain = draw(IDS, LABELS, 3, repeat=1, seed=5)
    mixed = draw(IDS[rows], LABELS[rows], 3, repeat=1, seed=5)
    assert set(IDS[plain]) == set(IDS[rows][mixed])
    assert set(plain) != set(draw(IDS, LABELS, 3, repeat=0, seed=5))
    assert set(plain) != set(draw(IDS, LABELS, 3, repeat=1, seed=6))


def test_every_picture_is_drawn_as_often_as_another():
    drawn = np.zeros(len(IDS))
    for repeat in range(600):
        drawn[draw(IDS, LABELS, 3, repeat=repeat)] += 1
    for label in range(3):
        own = drawn[label == LABELS]
        assert abs(own - 600 * 3 / len(own)).max() < 70


def test_mean_and_spread_by_hand(curves):
    point = curves.curves[0].points[1]
    values = np.array(point.values)
    assert len(values) == 3
    assert point.top1.value == pytest.approx(values.mean())
    assert point.std == pytest.approx(np.sqrt(((values - values.mean()) ** 2).sum() / 2))
    half = t.ppf(0.975, 2) * point.std / np.sqrt(3)
    assert point.top1.low == pytest.approx(values.mean() - half)
    assert point.top1.high == pytest.approx(values.mean() + half)


def test_a_point_is_the_classifier_fitted_on_the_draw_alone(curves, scored):
    assert [curve.classifier for curve in curves.curves] == ["linear_probe", "nearest_mean"]
    given = problem()
    for place, shots in enumerate((1, 2, 8)):
        rows = draw(IDS, LABELS, shots, repeat=1, seed=7)
        alone = dataclasses.replace(given, train=take(given.train, rows))
        right = nearest_mean.fit(alone).predict(scored).predicted == scored.labels
        assert curves.curves[1].points[place].values[1] == pytest.approx(right.mean())
        settings = curves.curves[0].points[place].settings[1]
        config = dataclasses.replace(given.config, c=settings["C"])
        probe = linear_probe.fit(dataclasses.replace(alone, config=config)).predict(scored)
        right = probe.predicted == scored.labels
        assert curves.curves[0].points[place].values[1] == pytest.approx(right.mean())
        assert settings["n_train"] == 3 * shots


def test_the_validation_pictures_are_left_alone(curves, scored):
    wrong = pictures((np.arange(60) + 1) % 3, seed=2)
    wrong = dataclasses.replace(wrong, labels=np.arange(60) % 3)
    names = ("zero_shot", "linear_probe", "nearest_mean")
    given = problem(validation=wrong)
    again = few_shot(given, scored, names, shots=(1, 2, 8), repeats=3, zero_shot=0.7)
    assert [c.points[2].values for c in again.curves] == [c.points[2].values for c in curves.curves]


def test_draws_can_be_made_again_from_the_record(curves):
    assert len(curves.draws) == 9
    for made in curves.draws:
        rows = draw(IDS, LABELS, made.shots, repeat=made.repeat, seed=curves.seed)
        text = "\n".join(sorted(IDS[rows]))
        assert made.digest == hashlib.sha256(text.encode()).hexdigest()


def test_where_zero_shot_is_first_beaten(scored):
    def first(zero_shot):
        found = few_shot(
            problem(), scored, ["nearest_mean"], shots=(1, 8), repeats=2, zero_shot=zero_shot
        )
        return found.curves[0].beats_zero_shot_at, [p.top1.value for p in found.curves[0].points]

    _, (low, high) = first(None)
    assert low < high
    assert first(None)[0] is None
    assert first(low - 0.01)[0] == 1
    assert first((low + high) / 2)[0] == 8
    assert first(high)[0] is None


def test_a_class_that_may_lack_training_pictures_is_no_candidate(scored):
    names = (*NAMES, "dog")
    given = problem(
        class_names=names, class_vectors=normalise(np.eye(4, 8)), may_lack_training=True
    )
    found = few_shot(given, scored, ["linear_probe", "ridge"], shots=(1, 4), repeats=2)
    assert [len(curve.points) for curve in found.curves] == [2, 2]
    assert found.curves[0].points[1].top1.value > 0.7
    assert found.curves[1].points[0].settings[0]["untrained_classes"] == ["dog"]
    check_shots(LABELS, names, (9,), may_lack=True)


def test_one_repeat_has_no_spread(scored):
    found = few_shot(problem(), scored, ["nearest_mean"], shots=(2,), repeats=1)
    point = found.curves[0].points[0]
    assert (point.std, point.top1.low, point.top1.high) == (None, None, None)


def test_more_shots_than_pictures_is_refused_with_what_would_do():
    with pytest.raises(DataError, match=r"'bee' has 9\. Give --shots 1,8, or add pictures"):
        check_shots(LABELS, NAMES, (1, 8, 10))
    with pytest.raises(DataError, match=r"--shots 16 is more than 3 of 3 classes"):
        check_shots(LABELS, NAMES, (16,))
    with pytest.raises(DataError, match="'dog' has 0"):
        check_shots(LABELS, (*NAMES, "dog"), (1,))
    check_shots(LABELS, NAMES, (9,))
