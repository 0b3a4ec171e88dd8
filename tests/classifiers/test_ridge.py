"""Ridge: scikit-learn's solution at every penalty; probabilities that mean what they say."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from cliplab.classifiers import ridge
from cliplab.classifiers.family import ProbeConfig
from cliplab.classifiers.trials import spread
from cliplab.runtime.errors import DataError


@pytest.mark.parametrize("n", [3, 30])  # fewer and more pictures than the 20 features
@pytest.mark.parametrize("penalty", [1e-3, 0.3, 50.0])
def test_weights_are_scikit_learns(clouds, n, penalty):
    train = clouds(n=n, noise=2.0)
    x, y = train.features.astype(np.float64), np.eye(4)[train.labels]
    expected = Ridge(alpha=penalty * spread(train.features)).fit(x, y)
    weights, intercept = ridge.solutions(train.features, train.labels, 4)(penalty)
    assert np.abs(weights - expected.coef_.T).max() < 1e-6
    assert np.abs(intercept - expected.intercept_).max() < 1e-5


def test_blocks_change_nothing(clouds, monkeypatch):
    train = clouds(n=30)
    whole = ridge.solutions(train.features, train.labels, 4)(0.1)
    monkeypatch.setattr(ridge, "BLOCK", 7)
    parts = ridge.solutions(train.features, train.labels, 4)(0.1)
    assert np.abs(whole[0] - parts[0]).max() < 1e-9


def test_the_best_penalty_is_taken_and_the_trace_told(problem):
    fitted = ridge.fit(problem())
    best = max(fitted.trace, key=lambda row: (row["accuracy"], -row["loss"]))
    assert fitted.settings["penalty"] == best["penalty"]
    assert len(fitted.trace) == len(ridge.PENALTIES)
    assert "24 training pictures held out" in fitted.settings["penalty_chosen"]


def test_a_given_penalty_is_used(problem):
    fitted = ridge.fit(problem(config=ProbeConfig(penalty=2.0)))
    assert fitted.settings["penalty"] == 2.0
    assert fitted.settings["penalty_chosen"] == "given"
    assert list(fitted.trace) == []


def test_probabilities_are_about_as_often_right_as_they_say(problem, clouds):
    train, test = clouds(n=200, noise=3.5, seed=1), clouds(n=500, noise=3.5, seed=2)
    scores = ridge.fit(problem(train=train)).predict(test).scores
    right = (scores.argmax(axis=1) == test.labels).mean()
    assert abs(np.exp(scores.max(axis=1)).mean() - right) < 0.05
    assert right < 0.95


def test_the_scale_of_the_features_does_not_matter(problem, clouds):
    train, test = clouds(seed=1, noise=2.0), clouds(seed=2, noise=2.0)
    grown = [dataclasses.replace(e, features=e.features * 100) for e in (train, test)]
    plain = ridge.fit(problem(train=train)).predict(test).scores
    other = ridge.fit(problem(train=grown[0])).predict(grown[1]).scores
    assert np.abs(plain - other).max() < 1e-3


def test_one_picture_a_class_leaves_nothing_to_choose_on(problem, clouds):
    fitted = ridge.fit(problem(train=clouds(n=1)))
    assert fitted.settings["penalty"] == ridge.PENALTY_WITHOUT_SEARCH
    assert "too few" in fitted.settings["penalty_chosen"]


def test_another_encoders_pictures_are_refused(problem, clouds):
    test = clouds(n=2)
    narrow = dataclasses.replace(test, features=test.features[:, :5])
    with pytest.raises(DataError, match="another encoder"):
        ridge.fit(problem()).predict(narrow)
