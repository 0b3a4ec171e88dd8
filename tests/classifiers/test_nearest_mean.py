"""Nearest class mean: by hand, and against means taken picture by picture."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from cliplab.classifiers import nearest_mean
from cliplab.classifiers.family import Problem
from cliplab.embeddings.normalise import normalise
from cliplab.nouns import Embeddings
from cliplab.runtime.errors import DataError


def test_worked_by_hand():
    # means (0, 2) and (2, 0), centre (1, 1); (3, 1) lies at (2, 0) from it: 45° from (1, -1)
    given = np.array([[0, 2], [2, 0]], dtype=np.float32)
    labels, names = np.array([0, 1]), ("up", "right")
    ids = np.array(["a", "b"], dtype=object)
    train = Embeddings(ids, given, None, labels, names, {})
    test = dataclasses.replace(train, vectors=np.array([[3, 1], [1, 9]], dtype=np.float32))
    fitted = nearest_mean.fit(Problem(class_names=names, train=train))
    half = np.sqrt(0.5)
    assert fitted.cosines(test) == pytest.approx(np.array([[-half, half], [half, -half]]), abs=1e-6)
    assert fitted.predict(test).predicted.tolist() == [1, 0]
    expected = np.exp(10 * half) / (np.exp(10 * half) + np.exp(-10 * half))
    assert np.exp(fitted.predict(test).scores[0, 1]) == pytest.approx(expected, abs=1e-5)


def test_classes_count_alike_however_many_pictures_they_have(problem, clouds):
    train, test = clouds(labels=[0] * 40 + [1] * 5 + [2] * 5 + [3] * 5), clouds(seed=2)
    fitted = nearest_mean.fit(problem(train=train))
    means = [train.features[train.labels == c].mean(axis=0) for c in range(4)]
    centre = np.mean(means, axis=0)
    assert np.abs(fitted.centre - centre).max() < 1e-4
    unit = normalise(train.features - centre)
    own = normalise(np.stack([unit[train.labels == c].mean(axis=0) for c in range(4)]))
    assert np.abs(fitted.cosines(test) - normalise(test.features - centre) @ own.T).max() < 1e-5


def test_probabilities_are_about_as_often_right_as_they_say(problem, clouds):
    train, test = clouds(n=100, noise=3.5, seed=1), clouds(n=500, noise=3.5, seed=2)
    scores = nearest_mean.fit(problem(train=train)).predict(test).scores
    right = (scores.argmax(axis=1) == test.labels).mean()
    assert abs(np.exp(scores.max(axis=1)).mean() - right) < 0.06
    assert right < 0.95


def test_another_encoders_pictures_are_refused(problem, clouds):
    test = clouds(n=2)
    narrow = dataclasses.replace(test, features=test.features[:, :5])
    with pytest.raises(DataError, match="another encoder"):
        nearest_mean.fit(problem()).predict(narrow)
