"""k nearest neighbours by cosine, weighted by temperature; k chosen on validation pictures.

Wu et al. 2018, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", section
3.4, as DINO uses it: each neighbour votes for its class with exp(cosine / 0.07).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    take,
    training_part,
)
from cliplab.classifiers.selection import stratified_holdout
from cliplab.embeddings.normalise import normalise
from cliplab.nouns import Embeddings, Predictions

NEEDS = frozenset({"train"})
TEMPERATURE = 0.07
KS = (1, 5, 10, 20, 50, 100, 200)
HELD_OUT = 0.2
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
    held_out, how = problem.validation, "validation split"
    if held_out is None or not len(held_out):
        kept, held = stratified_holdout(train.labels, HELD_OUT, problem.seed)
        if not len(held):
            return 1, [], "too few training pictures to choose on"
        train, held_out = take(train, kept), take(train, held)
        how = f"{len(held)} training pictures held out"
    ks = tuple(k for k in KS if k <= len(train)) or (1,)
    voters = _neighbours(problem, train, ks[0], {}, ())
    votes = _votes(voters, normalise(inputs(held_out, problem.config)), ks)
    right = {k: float((votes[k].argmax(axis=1) == held_out.labels).mean()) for k in ks}
    trace = [{"k": k, "accuracy": accuracy} for k, accuracy in right.items()]
    return max(ks, key=lambda k: (right[k], -k)), trace, how


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
