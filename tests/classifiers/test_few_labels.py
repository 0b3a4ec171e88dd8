"""The probe's C with few labels: chosen within the draw alone, the same for every scale."""

from __future__ import annotations

import dataclasses

import pytest

from cliplab.classifiers import linear_probe
from cliplab.classifiers.estimator import LinearProbe
from cliplab.classifiers.family import ProbeConfig
from cliplab.classifiers.few_labels import RELATIVE_CS, choose_probe
from cliplab.classifiers.trials import spread


def test_it_is_the_best_of_the_folds(problem, clouds):
    train = clouds(n=4, noise=4.0)
    found = choose_probe(problem(train=train), train)
    assert found.how == "4 folds of the training pictures"
    right = []
    for relative in RELATIVE_CS:
        c = relative / spread(train.features)
        hits = 0
        for part in found.tried.parts:
            raised = c * len(train) / len(part.kept)
            probe = LinearProbe(C=raised).fit(part.kept.features, part.kept.labels)
            hits += (probe.predict(part.held.features) == part.held.labels).sum()
        right.append(hits / len(train))
    assert [row["accuracy"] for row in found.trace] == pytest.approx(right)
    assert max(row["accuracy"] for row in found.trace if row["C"] == found.c) == max(right)


def test_the_scale_of_the_features_moves_c_alone(problem, clouds):
    train = clouds(n=4, noise=4.0)
    grown = dataclasses.replace(train, features=train.features * 8)
    plain, other = (choose_probe(problem(train=given), given) for given in (train, grown))
    assert other.c * 64 == pytest.approx(plain.c)


def test_one_shot_has_a_c_of_its_own_and_a_given_one_is_kept(problem, clouds):
    train = clouds(n=1)
    found = choose_probe(problem(train=train), train)
    assert found.c == pytest.approx(100 / spread(train.features))
    assert found.scores is None
    given = problem(train=train, config=ProbeConfig(c=0.5))
    assert choose_probe(given, train)[:2] == (0.5, "given")


def test_with_pictures_enough_it_is_the_probes_own_search(problem):
    given = problem()
    found = choose_probe(given, given.train)
    assert found.c == linear_probe.fit(given).settings["C"]
    assert found.scores.shape == (24, 4)
    assert (found.scores.argmax(axis=1) == found.tried.held().labels).mean() > 0.9
