"""Every classifier: one contract, whatever the method."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cliplab.classifiers.family import Problem, classifier, classifier_names, take
from cliplab.embeddings.normalise import normalise
from cliplab.nouns import Embeddings
from cliplab.runtime.errors import UnknownName

NAMES = ("one", "two", "three")


def make(n: int, seed: int) -> Embeddings:
    chance = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    vectors = (np.eye(3, 8)[labels] * 4 + chance.normal(size=(n, 8))).astype(np.float32)
    ids = np.array([f"{seed}/{i}" for i in range(n)], dtype=object)
    return Embeddings(ids, vectors, None, labels, NAMES, {})


@pytest.fixture(params=classifier_names())
def fitted(request):
    problem = Problem(
        class_names=NAMES,
        class_vectors=normalise(np.eye(3, 8, dtype=np.float32)),
        train=make(60, seed=0),
    )
    return classifier(request.param).fit(problem)


def test_the_family_has_its_members():
    assert classifier_names() == [
        "knn", "linear_probe", "mixed", "nearest_mean", "ridge", "zero_shot",
    ]  # fmt: skip
    with pytest.raises(UnknownName, match="Did you mean 'zero_shot'"):
        classifier("zeroshot")


@pytest.mark.parametrize("name", classifier_names())
def test_it_says_what_it_needs(name):
    assert {"text", "train"} >= classifier(name).NEEDS
    assert classifier(name).NEEDS


def test_scores_are_log_probabilities(fitted):
    test = make(30, seed=1)
    found = fitted.predict(test)
    assert found.scores.shape == (30, 3)
    assert found.scores.dtype == np.float32
    assert np.abs(np.exp(found.scores).sum(axis=1) - 1).max() < 1e-4
    assert (found.ids == test.ids).all()
    assert (found.labels == test.labels).all()
    assert found.class_names == NAMES
    assert (found.predicted == test.labels).mean() > 0.8


def test_a_picture_is_judged_by_itself(fitted):
    test = make(30, seed=1)
    order = np.random.default_rng(0).permutation(30)
    straight, mixed = fitted.predict(test), fitted.predict(take(test, order))
    assert np.abs(straight.scores[order] - mixed.scores).max() < 1e-4


def test_settings_and_trace_go_into_a_record(fitted):
    json.dumps([dict(fitted.settings), list(fitted.trace)], allow_nan=False)


def test_it_saves_into_the_folder_alone(fitted, tmp_path):
    (tmp_path / "run").mkdir()
    fitted.save(tmp_path / "run")
    assert [p.name for p in tmp_path.iterdir() if p.name != "home"] == ["run"]
