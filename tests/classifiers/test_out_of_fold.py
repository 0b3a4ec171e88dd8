"""Folds that keep copies together, and probes that never see what they are asked."""

from __future__ import annotations

import numpy as np

from cliplab.classifiers import linear_probe
from cliplab.classifiers.out_of_fold import FOLDS, deal, out_of_fold
from cliplab.nouns import Embeddings


def made(n: int, seed: int = 0) -> tuple[Embeddings, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    vectors = np.eye(3, 8)[labels] + 0.3 * generator.normal(size=(n, 8))
    ids = np.array([str(i) for i in range(n)], dtype=object)
    return Embeddings(ids, vectors.astype(np.float32), None, labels, ("a", "b", "c"), {}), labels


def test_folds_are_even_by_class_and_keep_groups_together():
    labels = np.arange(300) % 3
    groups = np.concatenate([np.arange(200), np.arange(100)])  # the last hundred are copies
    fold = deal(labels, groups, seed=0)
    assert (fold[200:] == fold[:100]).all()
    for label in range(3):
        counts = np.bincount(fold[labels == label], minlength=FOLDS)
        assert counts.max() - counts.min() < 15
    singles = deal(labels, np.arange(300), seed=0)
    for label in range(3):
        counts = np.bincount(singles[labels == label], minlength=FOLDS)
        assert counts.max() - counts.min() <= 1
    assert (deal(labels, groups, seed=0) == fold).all()
    assert (deal(labels, groups, seed=1) != fold).any()


def test_two_groups_of_a_class_are_never_in_one_fold_alone():
    labels = np.repeat(np.arange(7), 2)
    fold = deal(labels, np.arange(14), seed=3)
    assert (fold[::2] != fold[1::2]).all()


def test_no_probe_sees_what_it_is_asked(monkeypatch):
    seen, labels = made(90)
    groups = np.arange(90)
    groups[60:] = np.arange(30)  # copies
    asked, real = [], linear_probe.fit

    def watched(problem):
        fitted = real(problem)
        asked.append(({*problem.train.ids}, problem.config.c))
        return fitted

    monkeypatch.setattr(linear_probe, "fit", watched)
    found = out_of_fold(seen, labels, groups, seed=0)
    fold = deal(labels, groups, seed=0)
    for number, (known, _) in enumerate(asked):
        held = {str(i) for i in np.flatnonzero(fold == number)}
        assert not held & known
        assert len(held | known) == 90
    assert asked[0][1] is None
    assert len({c for _, c in asked[1:]}) == 1  # chosen once
    assert (found.probabilities.argmax(axis=1) == labels).mean() > 0.9
    assert np.abs(found.probabilities.sum(axis=1) - 1).max() < 1e-5


def test_unlabelled_pictures_and_lone_classes_are_left_out():
    seen, labels = made(60)
    labels = labels.copy()
    labels[:3] = -1
    labels[labels == 2] = -1
    labels[5] = 2
    found = out_of_fold(seen, labels, np.arange(60), seed=0)
    assert found.classes.tolist() == [0, 1]
    assert set(labels[found.rows]) == {0, 1}
    assert out_of_fold(seen, np.where(labels == 0, 0, -1), np.arange(60), seed=0) is None
