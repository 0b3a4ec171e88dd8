"""The mixture: its ends are its parents, and its weights go to the parent that is right."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from cliplab.classifiers import linear_probe, mixed, zero_shot
from cliplab.classifiers.family import ProbeConfig, Problem
from cliplab.classifiers.mixed import posterior_weights, weights_of_one_shot
from cliplab.embeddings.normalise import normalise
from cliplab.few_shot import few_shot
from cliplab.nouns import Embeddings


def said(n: int, right: float, seed: int, sure: float = 3.0) -> np.ndarray:
    """Log-probabilities (n, 4) whose best is label 0 in a share `right`, else one of the others."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(n, 4)) * 0.3
    best = np.where(generator.random(n) < right, 0, generator.integers(1, 4, n))
    logits[np.arange(n), best] += sure
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def useless(problem, **changes):
    """A problem whose captions know nothing."""
    vectors = normalise(np.random.default_rng(3).normal(size=(4, 12)).astype(np.float32))
    return problem(class_vectors=vectors, **changes)


@pytest.mark.parametrize(
    ("weights", "parent"), [((1.0, 0.0), zero_shot), ((0.0, 1.0), linear_probe)]
)
def test_its_ends_are_its_parents(problem, clouds, weights, parent):
    test = clouds(seed=9, noise=3.0)
    given = problem(
        train=clouds(n=8, noise=3.0, seed=1), config=ProbeConfig(c=0.1, weights=weights)
    )
    found, expected = mixed.fit(given).predict(test), parent.fit(given).predict(test)
    assert np.abs(found.scores - expected.scores).max() < 1e-4


def test_the_weights_add_the_logits(problem, clouds):
    test = clouds(seed=9, noise=3.0)
    given = problem(train=clouds(n=8, seed=1), config=ProbeConfig(c=0.1, weights=(0.5, 2.0)))
    both = 0.5 * zero_shot.fit(given).predict(test).scores
    both = both + 2.0 * linear_probe.fit(given).predict(test).scores
    expected = both - np.log(np.exp(both).sum(axis=1, keepdims=True))
    assert np.abs(mixed.fit(given).predict(test).scores - expected).max() < 1e-4


def test_the_weight_goes_to_the_one_that_is_right():
    labels = np.zeros(60, dtype=int)
    good, bad = said(60, 0.9, seed=0), said(60, 0.25, seed=1)
    a, b = posterior_weights(good, bad, labels)
    assert a > 0.3
    assert b < 0.1
    a, b = posterior_weights(bad, good, labels)
    assert a < 0.1
    assert b > 0.3


def test_what_two_know_together_is_used():
    labels = np.zeros(200, dtype=int)
    one, other = said(200, 0.7, seed=0), said(200, 0.7, seed=1)
    a, b = posterior_weights(one, other, labels)
    assert a > 0.2
    assert b > 0.2


def test_at_one_shot_captions_lead_where_they_are_better_than_chance():
    labels = np.zeros(20, dtype=int)
    a, b = weights_of_one_shot(said(20, 0.8, seed=1), labels)
    assert a > 0.5
    assert b < 0.01
    a, b = weights_of_one_shot(said(20, 0.25, seed=1), labels)
    assert a < 0.1
    assert b > 0.4


def test_with_captions_that_know_nothing_it_is_the_probe(problem, clouds):
    test = clouds(n=100, seed=9, noise=1.2)
    for shots in (1, 2, 4, 16):
        given = useless(problem, train=clouds(n=shots, seed=shots, noise=1.2))
        fitted = mixed.fit(given)
        own = (fitted.probe.predict(test).predicted == test.labels).mean()
        captions = (fitted.text.predict(test).predicted == test.labels).mean()
        assert captions < 0.5 < own
        assert (fitted.predict(test).predicted == test.labels).mean() > own - 0.03


def test_with_captions_that_know_all_one_shot_does_not_spoil_them(problem, clouds):
    test = clouds(n=100, seed=9, noise=1.5)
    given = problem(train=clouds(n=1, seed=1, noise=1.5))
    fitted = mixed.fit(given)
    captions = (fitted.text.predict(test).predicted == test.labels).mean()
    probe = (fitted.probe.predict(test).predicted == test.labels).mean()
    assert probe < captions - 0.1
    assert (fitted.predict(test).predicted == test.labels).mean() > captions - 0.02


def test_it_says_how_it_chose(problem, clouds):
    settings = mixed.fit(problem(train=clouds(n=4))).settings
    assert set(settings["weights"]) == {"zero_shot", "linear_probe"}
    assert settings["weights_chosen"] == settings["C_chosen"] == "4 folds of the training pictures"
    assert "zero-shot" in mixed.fit(problem(train=clouds(n=1))).settings["weights_chosen"]
    assert "held out" in mixed.fit(problem()).settings["weights_chosen"]


@pytest.mark.slow
@pytest.mark.parametrize("n", [0, 4, 16])
def test_on_digits_it_is_never_more_than_a_point_below_the_better_parent(n):
    """Class vectors are means of `n` other digits; 0: random, as captions that know nothing."""
    digits = load_digits()
    x, y = (digits.data - digits.data.mean(axis=0)).astype(np.float32), digits.target
    order = np.random.default_rng(0).permutation(len(x))
    part = np.empty(len(x), dtype=int)
    for label in range(10):
        own = order[y[order] == label]
        part[own[:16]], part[own[16:56]], part[own[56:]] = 0, 1, 2
    vectors = np.random.default_rng(1).normal(size=(10, 64))
    if n:
        first = [np.flatnonzero((part == 0) & (y == label))[:n] for label in range(10)]
        vectors = np.stack([x[rows].mean(axis=0) for rows in first])

    def of(number):
        rows = np.flatnonzero(part == number)
        ids = np.array([str(row) for row in rows], dtype=object)
        return Embeddings(ids, x[rows], None, y[rows], tuple("0123456789"), {})

    train, scored = of(1), of(2)
    given = Problem(
        class_names=train.class_names,
        class_vectors=normalise(vectors),
        logit_scale=20.0,
        train=train,
    )
    for shots in (1, 2, 4, 8, 16):
        found = few_shot(given, scored, ["linear_probe", "mixed"], shots=(shots,), repeats=5)
        probe, both = (curve.points[0].top1.value for curve in found.curves)
        text = (zero_shot.fit(given).predict(scored).predicted == scored.labels).mean()
        assert both > max(probe, text) - 0.01, shots
