"""k nearest neighbours by cosine, weighted by temperature; k chosen on validation pictures.

Wu et al. 2018, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", section
3.4, as DINO and DINOv2 (`dinov2/eval/knn.py`) use it: each of the k nearest votes for its class
with exp(cosine / 0.07). DINOv2 reports k of 10, 20, 100 and 200; here one of those, of 50, or of 1,
2 and 5 for few labels, is chosen without the test pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cliplab.classifiers.family import (
    ProbeConfig,
    Problem,
    inputs,
    join,
    reads_features,
    training_part,
)
from cliplab.classifiers.trials import Trial, choose, trials
from cliplab.embeddings.normalise import normalise
from cliplab.nouns import Embeddings, Predictions

NEEDS = frozenset({"train"})
TEMPERATURE = 0.07
KS = (1, 2, 5, 10, 20, 50, 100, 200)
SMOOTHING = 1e-6  # share of the votes that every class gets, so that no logarithm is of zero
BLOCK = 1024  # pictures compared at once


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The training pictures, ready to vote."""

    train: np.ndarray  # (N, F) float32, unit L2 norm
    labels: np.ndarray  # (N,) int64
    class_names: tuple[str, ...]
    k: int
    config: ProbeConfig
    settings: Mapping[str, Any]
    trace: Sequence[Mapping[str, Any]] = ()

    def predict(self, embeddings: Embeddings) -> Predictions:
        """Logarithm of each class's share of the weighted votes."""
        votes = _votes(self, normalise(inputs(embeddings, self.config)), (self.k,))[self.k]
        return Predictions(embeddings.ids, embeddings.labels, votes, self.class_names)

    def save(self, folder: Path) -> None:
        """Write nothing: the training pictures' embeddings are the classifier."""


def fit(problem: Problem) -> Neighbours:
    """Choose k on validation pictures; then all training and validation pictures vote."""
    train = training_part(problem)
    k, trace, how = _choose(problem, train)
    everything = join(train, problem.validation)
    settings = {
        "k": k,
        "k_chosen": how,
        "temperature": TEMPERATURE,
        "features": "pre" if reads_features(train, problem.config) else "post",
        "n_train": len(everything),
    }
    return _neighbours(problem, everything, k, settings, trace)


def _neighbours(
    problem: Problem,
    train: Embeddings,
    k: int,
    settings: Mapping[str, Any],
    trace: Sequence[Mapping[str, Any]],
) -> Neighbours:
    unit = normalise(inputs(train, problem.config))
    return Neighbours(unit, train.labels, problem.class_names, k, problem.config, settings, trace)


def _choose(problem: Problem, train: Embeddings) -> tuple[int, list[dict[str, Any]], str]:
    if problem.config.k is not None:
        return min(problem.config.k, len(train)), [], "given"
    tried = trials(problem, train)
    if not tried.parts:
        return 1, [], tried.how
    fewest = min(len(part.kept) for part in tried.parts)
    ks = tuple(k for k in KS if k <= fewest) or (1,)
    found = choose(tried, "k", ks, lambda part: _said(problem, part, ks))
    return int(found.setting), found.trace, tried.how


def _said(problem: Problem, part: Trial, ks: Sequence[int]) -> Callable[[float], np.ndarray]:
    voters = _neighbours(problem, part.kept, ks[0], {}, ())
    votes = _votes(voters, normalise(inputs(part.held, problem.config)), ks)
    return lambda k: votes[int(k)]


def _votes(voters: Neighbours, unit: np.ndarray, ks: Sequence[int]) -> dict[int, np.ndarray]:
    """Votes of the nearest: for each k, (M, C) float32 log shares."""
    n_classes = len(voters.class_names)
    found = {k: np.empty((len(unit), n_classes), dtype=np.float32) for k in ks}
    most = min(max(ks), len(voters.train))
    for start in range(0, len(unit), BLOCK):
        cosines = unit[start : start + BLOCK] @ voters.train.T
        nearest = np.argpartition(-cosines, most - 1, axis=1)[:, :most]
        close = np.take_along_axis(cosines, nearest, axis=1)
        order = np.argsort(-close, axis=1, kind="stable")
        nearest, close = (np.take_along_axis(a, order, axis=1) for a in (nearest, close))
        weight = np.exp((close - close[:, :1]) / TEMPERATURE)
        for k in ks:
            shares = np.zeros((len(close), n_classes))
            rows = np.arange(len(close))[:, None]
            np.add.at(shares, (rows, voters.labels[nearest[:, :k]]), weight[:, :k])
            shares = shares / shares.sum(axis=1, keepdims=True) + SMOOTHING
            shares /= shares.sum(axis=1, keepdims=True)
            found[k][start : start + BLOCK] = np.log(shares)
    return found
