"""Ridge regression onto the classes, in closed form; its penalty chosen on validation pictures.

N training pictures, F features, C classes. X (N, F) are the features less their mean, Y (N, C) the
labels as 0 and 1 less their mean, so that the intercept is free and exact:

    W = (XᵀX + λ I)^-1 XᵀY                          where N >= F
    W = Xᵀ (XXᵀ + λ I)^-1 Y                         where N < F, the same weights

One eigendecomposition XᵀX = Q diag(e) Qᵀ (or XXᵀ) serves every λ, since only e + λ changes. This is
big_vision's few-shot evaluator (`evaluators/fewshot_lsr.py`), with these differences: features are
not divided by their standard deviations (a few pictures do not tell them); the intercept is free
instead of a penalised weight on a constant 100; λ is searched instead of fixed, in units of the
features' spread; and scores become probabilities by a softmax whose sharpness is fitted on the
pictures that λ was chosen on.
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
from cliplab.classifiers.trials import Trial, choose, spread, trials
from cliplab.metrics.calibration import fit_temperature
from cliplab.nouns import Embeddings, Predictions
from cliplab.runtime.errors import DataError

NEEDS = frozenset({"train"})
PENALTIES = tuple(10.0 ** (step / 2) for step in range(-8, 9))  # times the features' spread
PENALTY_WITHOUT_SEARCH = 10.0**-0.5  # where no picture is left to choose on
BLOCK = 8192  # pictures taken into float64 at once
SHARPNESS = 10.0  # multiplies scores, which lie around 0 and 1, before the softmax; then tempered


@dataclass(frozen=True, slots=True)
class Ridge:
    """Weights and intercept of all classes, and how sharp their softmax is."""

    weights: np.ndarray  # (F, C) float64
    intercept: np.ndarray  # (C,) float64
    sharpness: float
    class_names: tuple[str, ...]  # C names
    config: ProbeConfig
    settings: Mapping[str, Any]
    trace: Sequence[Mapping[str, Any]] = ()

    def predict(self, embeddings: Embeddings) -> Predictions:
        """Log-softmax of the sharpness times the regression's value of each class."""
        from scipy.special import log_softmax

        read = inputs(embeddings, self.config)
        if read.shape[1] != len(self.weights):
            raise DataError(
                f"The regression reads {len(self.weights)} features, these pictures have "
                f"{read.shape[1]}: it was fitted with another encoder."
            )
        values = read.astype(np.float64) @ self.weights + self.intercept
        scores = log_softmax(self.sharpness * values, axis=1).astype(np.float32)
        return Predictions(embeddings.ids, embeddings.labels, scores, self.class_names)

    def save(self, folder: Path) -> None:
        """Write nothing: λ is in the record, and the weights follow from it in closed form."""


def fit(problem: Problem) -> Ridge:
    """Choose λ on validation pictures, then fit on all of the training and validation pictures."""
    train = training_part(problem)
    everything = join(train, problem.validation)
    tried = trials(problem, train)
    penalty, sharpness, trace, how = PENALTY_WITHOUT_SEARCH, SHARPNESS, [], tried.how
    if tried.parts:
        settings = PENALTIES if problem.config.penalty is None else (problem.config.penalty,)
        found = choose(tried, "penalty", settings, lambda part: _said(problem, part))
        penalty, trace = found.setting, found.trace
        warmth = fit_temperature(found.scores, tried.held().labels)
        sharpness /= warmth.value if warmth else 1.0
    if problem.config.penalty is not None:
        penalty, trace, how = problem.config.penalty, [], "given"
    read = inputs(everything, problem.config)
    weights, intercept = solutions(read, everything.labels, len(problem.class_names))(penalty)
    told = {
        "penalty": penalty,
        "lambda": penalty * spread(read),
        "penalty_chosen": how,
        "sharpness": sharpness,
        "features": "pre" if reads_features(train, problem.config) else "post",
        "normalize": problem.config.normalize,
        "n_train": len(everything),
    }
    names, config = problem.class_names, problem.config
    return Ridge(weights, intercept, sharpness, names, config, told, trace)


def solutions(
    features: np.ndarray, labels: np.ndarray, n_classes: int
) -> Callable[[float], tuple[np.ndarray, np.ndarray]]:
    """Decompose once; give what turns a penalty into weights (F, C) and intercept (C,), float64.

    Parameters
    ----------
    features, labels
        (N, F) and (N,) int64 in 0..C-1.
    n_classes
        C; a class without pictures gets a value of 0 everywhere.

    Returns
    -------
    callable
        Penalty in units of the features' spread → weights and intercept.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    shares = np.bincount(labels, minlength=n_classes) / len(labels)
    unit = spread(features)
    if len(features) >= features.shape[1]:
        gram, sums = _moments(features, labels, mean, n_classes)
        values, left = np.linalg.eigh(gram)
        right = left.T @ sums
    else:
        x = features - mean
        values, basis = np.linalg.eigh(x @ x.T)
        left, right = x.T @ basis, basis.T @ (np.eye(n_classes)[labels] - shares)
    values = values.clip(0)

    def at(penalty: float) -> tuple[np.ndarray, np.ndarray]:
        weights = left @ (right / (values + penalty * unit)[:, None])
        return weights, shares - mean @ weights

    return at


def _moments(
    features: np.ndarray, labels: np.ndarray, mean: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """XᵀX (F, F) and XᵀY (F, C) float64, block by block; the shares taken off Y drop out of it."""
    width = features.shape[1]
    gram, sums = np.zeros((width, width)), np.zeros((width, n_classes))
    for start in range(0, len(features), BLOCK):
        x = features[start : start + BLOCK] - mean
        gram += x.T @ x
        sums += x.T @ np.eye(n_classes)[labels[start : start + BLOCK]]
    return gram, sums


def _said(problem: Problem, part: Trial) -> Callable[[float], np.ndarray]:
    """Penalty → logits of the pictures set aside."""
    kept = inputs(part.kept, problem.config)
    at = solutions(kept, part.kept.labels, len(problem.class_names))
    held = inputs(part.held, problem.config).astype(np.float64)

    def logits(penalty: float) -> np.ndarray:
        weights, intercept = at(penalty)
        values: np.ndarray = held @ weights + intercept
        return SHARPNESS * values

    return logits
