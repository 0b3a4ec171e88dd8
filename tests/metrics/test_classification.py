"""top-k, confusion and the table by class: by hand, by invariance, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cliplab.metrics.classification import confusion, few_pictures, mean_per_class, per_class, top_k

HAND = np.array([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3], [0.2, 0.2, 0.6]])


@st.composite
def scored(draw):
    n_classes = draw(st.integers(2, 7))
    n = draw(st.integers(1, 40))
    seed = draw(st.integers(0, 10_000))
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 4, size=(n, n_classes)).astype(np.float32)  # ties on purpose
    return scores, generator.integers(0, n_classes, n)


def test_top_k_worked_by_hand():
    labels = np.array([2, 0, 1])
    assert top_k(HAND, labels, 1).tolist() == [False, True, False]
    assert top_k(HAND, labels, 2).tolist() == [True, True, False]  # the last ties with class 0
    assert top_k(HAND, labels, 3).all()
    assert top_k(HAND, labels, 9).all()


@settings(derandomize=True, deadline=None)
@given(scored())
def test_top_one_is_argmax_ties_included(case):
    scores, labels = case
    assert (top_k(scores, labels, 1) == (scores.argmax(axis=1) == labels)).all()


@settings(derandomize=True, deadline=None)
@given(scored(), st.integers(1, 7))
def test_top_k_is_that_of_a_stable_sort(case, k):
    scores, labels = case
    first = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    assert (top_k(scores, labels, k) == (first == labels[:, None]).any(axis=1)).all()


@settings(derandomize=True, deadline=None)
@given(scored(), st.integers(1, 7), st.integers(0, 100))
def test_top_k_knows_no_order_of_pictures_nor_scale(case, k, seed):
    scores, labels = case
    found = top_k(scores, labels, k)
    rows = np.random.default_rng(seed).permutation(len(labels))
    assert (top_k(scores[rows], labels[rows], k) == found[rows]).all()
    assert (top_k(4 * scores - 3, labels, k) == found).all()


def test_top_k_is_that_of_scikit_learn():
    from sklearn.metrics import top_k_accuracy_score

    generator = np.random.default_rng(0)
    scores, labels = generator.normal(size=(300, 9)), generator.integers(0, 9, 300)
    for k in (1, 5):
        reference = top_k_accuracy_score(labels, scores, k=k, labels=np.arange(9))
        assert top_k(scores, labels, k).mean() == pytest.approx(reference)


def test_a_class_that_was_no_candidate_is_never_found():
    scores = np.array([[-np.inf, 0.0, -1.0], [-np.inf, 0.0, -1.0]])
    labels = np.array([0, 2])
    assert top_k(scores, labels, 3).tolist() == [False, True]


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        top_k(np.array([[0.0, np.nan]]), np.array([0]), 1)
    with pytest.raises(ValueError, match="at least 1"):
        top_k(HAND, np.array([0, 0, 0]), 0)


def test_confusion_worked_by_hand():
    counts = confusion(np.array([0, 0, 1, 2]), np.array([0, 2, 1, 1]), 3)
    assert counts.tolist() == [[1, 0, 1], [0, 1, 0], [0, 1, 0]]


def test_confusion_is_that_of_scikit_learn():
    from sklearn.metrics import confusion_matrix

    generator = np.random.default_rng(0)
    labels, predicted = generator.integers(0, 6, (2, 200))
    reference = confusion_matrix(labels, predicted, labels=np.arange(6))
    assert (confusion(labels, predicted, 6) == reference).all()


def test_a_class_without_pictures_is_not_scored_which_is_not_zero():
    rows = per_class(np.array([[3, 1, 0], [2, 0, 0], [0, 0, 0]]), ["cat", "dog", "eel"])
    assert rows[0][:4] == ("cat", 4, 3, 0.75)
    assert rows[0].low < 0.75 < rows[0].high
    assert rows[1][:5] == ("dog", 2, 0, 0.0, 0.0)
    assert rows[2] == ("eel", 0, 0, None, None, None)


def test_mean_per_class_worked_by_hand():
    assert mean_per_class(np.array([10.0, 2.0, 0.0]), np.array([9.0, 1.0, 0.0])) == 0.7
    draws = mean_per_class(np.array([[1.0, 1.0], [0.0, 2.0]]), np.array([[1.0, 0.0], [0.0, 2.0]]))
    assert draws.tolist() == [0.5, 1.0]
    assert np.isnan(mean_per_class(np.zeros(3), np.zeros(3)))


def test_mean_per_class_is_balanced_accuracy():
    from sklearn.metrics import balanced_accuracy_score

    generator = np.random.default_rng(0)
    labels, predicted = generator.integers(0, 6, (2, 200))
    counts = confusion(labels, predicted, 6)
    found = mean_per_class(counts.sum(axis=1), counts.diagonal())
    assert found == pytest.approx(balanced_accuracy_score(labels, predicted))


@pytest.mark.parametrize(
    ("n", "correct", "few"),
    [(9, 9, True), (10, 10, False), (10, 5, True), (20, 10, True), (21, 10, False), (0, 0, False)],
)
def test_few_pictures_are_under_ten_or_leave_forty_points(n, correct, few):
    counts = np.array([[correct, n - correct], [0, 30]])
    assert few_pictures(per_class(counts, ["a", "b"])[0]) is few
