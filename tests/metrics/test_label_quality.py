"""Suspect labels by hand, and what the margin means."""

from __future__ import annotations

import numpy as np
import pytest

from cliplab.metrics.label_quality import confident_joint, label_quality


def test_by_hand():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.1, 0.7, 0.2], [0.1, 0.3, 0.6]])
    found = label_quality(probabilities, np.array([0, 0, 1, 2]))
    # thresholds: mean of .9 and .2, .7, .6; the second picture has .8 >= .7 for another class
    joint = confident_joint(probabilities, np.array([0, 0, 1, 2]))
    assert joint.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert found.suspect.tolist() == [False, True, False, False]
    assert found.confidence.tolist() == [0.9, 0.2, 0.7, 0.6]
    assert found.margin == pytest.approx([0.9, 0.2, 0.75, 0.65])
    assert found.likeliest.tolist() == [1, 1, 2, 1]


def test_a_class_of_which_nothing_is_sure_is_not_suspected_as_a_whole():
    unsure = np.tile([[0.45, 0.55]], (10, 1))
    sure = np.tile([[0.02, 0.98]], (10, 1))
    found = label_quality(np.concatenate([unsure, sure]), np.repeat([0, 1], 10))
    assert not found.suspect.any()
    assert (found.margin[:10] < 0.5).all()


def test_a_class_without_pictures_is_never_confident():
    found = label_quality(np.array([[0.3, 0.3, 0.4], [0.1, 0.5, 0.4]]), np.array([0, 1]))
    assert not found.suspect.any()


def test_flipped_labels_come_first():
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 5, size=1000)
    p = np.full((1000, 5), 0.05)
    p[np.arange(1000), truth] = generator.uniform(0.5, 0.95, size=1000)
    p /= p.sum(axis=1, keepdims=True)
    flipped = generator.permutation(1000)[:50]
    given = truth.copy()
    given[flipped] = (truth[flipped] + generator.integers(1, 5, size=50)) % 5
    found = label_quality(p, given)
    assert set(np.argsort(found.margin)[:50]) == set(flipped)
    assert found.suspect[flipped].mean() > 0.9
    assert not found.suspect[np.setdiff1d(np.arange(1000), flipped)].any()


def test_rows_of_the_joint_add_up_to_the_labels():
    generator = np.random.default_rng(1)
    p = generator.dirichlet(np.ones(6), size=400)
    labels = generator.integers(0, 5, size=400)  # of the sixth class there is no picture
    joint = confident_joint(p, labels)
    assert joint.sum(axis=1) == pytest.approx(np.bincount(labels, minlength=6))
    assert (joint[:, 5] == 0).all()


def test_what_cannot_be_judged():
    with pytest.raises(ValueError, match="one class"):
        label_quality(np.ones((2, 1)), np.zeros(2, dtype=np.int64))
    with pytest.raises(ValueError, match="not finite"):
        label_quality(np.full((2, 2), np.nan), np.zeros(2, dtype=np.int64))
