"""Embeddings made on the spot: classes as clouds around a point each."""

from __future__ import annotations

import numpy as np
import pytest

from cliplab.classifiers.family import Problem
from cliplab.embeddings.normalise import normalise
from cliplab.nouns import Embeddings

NAMES = ("apple", "bee", "cup", "dog")
WIDTH, FEATURES = 12, 20


@pytest.fixture
def clouds():
    """Make Embeddings of `n` pictures a class, spread by `noise` around the class's point."""
    points = np.random.default_rng(7).normal(size=(len(NAMES), FEATURES))
    projection = np.random.default_rng(8).normal(size=(FEATURES, WIDTH))

    def make(n=30, noise=0.8, seed=0, labels=None) -> Embeddings:
        chance = np.random.default_rng(seed)
        given = np.repeat(np.arange(len(NAMES)), n) if labels is None else np.asarray(labels)
        features = points[given] + noise * chance.normal(size=(len(given), FEATURES)) + 3.0
        return Embeddings(
            ids=np.array([f"{seed}/{i}" for i in range(len(given))], dtype=object),
            vectors=(features @ projection).astype(np.float32),
            features=features.astype(np.float32),
            labels=given,
            class_names=NAMES,
            identity={"weights": "none"},
        )

    return make


@pytest.fixture
def problem(clouds):
    """A whole problem: text vectors that lie near the classes, and training pictures."""

    def make(**changes) -> Problem:
        near = clouds(n=1, noise=0.0)
        settings = {
            "class_names": NAMES,
            "class_vectors": normalise(near.vectors),
            "train": clouds(seed=1),
        } | changes
        return Problem(**settings)

    return make
