"""k nearest neighbours: against scikit-learn at k = 1, against votes counted by hand else."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from cliplab.classifiers import knn
from cliplab.classifiers.family import take
from cliplab.embeddings.normalise import normalise


def test_one_neighbour_is_scikit_learns(problem, clouds, monkeypatch):
    monkeypatch.setattr(knn, "KS", (1,))
    train, test = clouds(seed=1, noise=2.0), clouds(seed=2, noise=2.0)
    expected = KNeighborsClassifier(1, metric="cosine").fit(train.features, train.labels)
    found = knn.fit(problem(train=train)).predict(test)
    assert (found.predicted == expected.predict(test.features)).all()


def test_votes_are_weighted_by_temperature(problem, clouds, monkeypatch):
    monkeypatch.setattr(knn, "KS", (5,))
    train, test = clouds(seed=1, noise=2.0), clouds(seed=2, n=3, noise=2.0)
    found = knn.fit(problem(train=train)).predict(test)
    cosines = normalise(test.features) @ normalise(train.features).T
    for row, picture in enumerate(cosines):
        votes = np.zeros(4)
        for near in np.argsort(-picture)[:5]:
            votes[train.labels[near]] += np.exp(picture[near] / 0.07)
        assert np.abs(np.exp(found.scores[row]) - votes / votes.sum()).max() < 1e-4


def test_one_picture_a_class_leaves_nothing_to_choose_on(problem, clouds):
    fitted = knn.fit(problem(train=clouds(n=1)))
    assert fitted.settings["k"] == 1
    assert "too few" in fitted.settings["k_chosen"]


def test_a_validation_split_of_which_nothing_can_be_read_is_none(problem, clouds):
    fitted = knn.fit(problem(validation=take(clouds(), np.arange(0))))
    assert "held out" in fitted.settings["k_chosen"]


def test_k_is_chosen_on_validation_and_told(problem):
    fitted = knn.fit(problem())
    assert {entry["k"] for entry in fitted.trace} <= set(knn.KS)
    best = max(fitted.trace, key=lambda entry: (entry["accuracy"], -entry["k"]))
    assert fitted.settings["k"] == best["k"]
