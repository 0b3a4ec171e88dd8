"""Which pictures are shown: checked on scores written by hand."""

from __future__ import annotations

import numpy as np

from cliplab.nouns import Predictions
from cliplab.report import gallery
from cliplab.report.gallery import by_weight, choose, confidence


def told(*rows: tuple[int, int, float], n_classes: int = 3) -> Predictions:
    """Rows of (label, predicted, probability of the predicted)."""
    scores = np.empty((len(rows), n_classes), np.float32)
    for row, (_label, predicted, sure) in enumerate(rows):
        scores[row] = np.log((1 - sure) / (n_classes - 1))
        scores[row, predicted] = np.log(sure)
    labels = np.array([label for label, _, _ in rows], np.int64)
    ids = np.array([f"{i}.png" for i in range(len(rows))], object)
    return Predictions(ids, labels, scores, tuple("abc"[:n_classes]))


FEW = told(
    (0, 1, 0.7), (0, 0, 0.9), (1, 1, 0.4), (2, 1, 0.95), (2, 0, 0.5), (0, 1, 0.8), (1, 1, 0.6)
)


def test_mistakes_are_the_most_confident_and_hits_the_least():
    choice = choose(FEW)
    assert choice.mistakes == (3, 5, 0, 4)
    assert choice.hits == (2, 6, 1)
    assert np.allclose(confidence(FEW), [0.7, 0.9, 0.4, 0.95, 0.5, 0.8, 0.6])


def test_each_class_and_each_pair_has_its_own():
    choice = choose(FEW)
    assert choice.class_mistakes == {2: (3, 4), 0: (5, 0)}
    assert choice.class_hits == {1: (2, 6), 0: (1,)}
    assert choice.pairs == {(0, 1): (5, 0), (2, 0): (4,), (2, 1): (3,)}
    assert next(iter(choice.pairs)) == (0, 1)  # the most counted


def test_of_equals_the_first_comes_first():
    choice = choose(told((0, 1, 0.6), (0, 1, 0.6), (0, 1, 0.6)))
    assert choice.mistakes == (0, 1, 2)


def test_what_is_shown_is_bounded():
    many = told(*[(0, 1, 0.5 + i / 1000) for i in range(200)])
    choice = choose(many)
    assert len(choice.mistakes) == gallery.MISTAKES
    assert len(choice.class_mistakes[0]) == gallery.CLASS_MISTAKES
    assert len(choice.pairs[0, 1]) == gallery.OF_PAIR


def test_a_cut_leaves_every_class_its_first():
    classes = 40
    rows = [(c, (c + 1) % classes, 0.9 - i / 100) for c in range(classes) for i in range(5)]
    choice = choose(told(*rows, n_classes=classes))
    order = by_weight([choice, choice], gallery.MISTAKES + 2 * classes)
    assert len(order) == len(set(order))
    assert order[: gallery.MISTAKES] == list(choice.mistakes)
    assert {rows[row][0] for row in order} == set(range(classes))


def test_nothing_wrong_is_nothing_shown():
    choice = choose(told((0, 0, 0.9), (1, 1, 0.9)))
    assert choice.mistakes == ()
    assert choice.pairs == {}
    assert by_weight([choice], 10) == [0, 1]
    assert by_weight([], 10) == []
