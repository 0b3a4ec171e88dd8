"""Nearest class mean by cosine, after the mean of all pictures is taken off; nothing to choose.

Wang et al. 2019, "SimpleShot: Revisiting Nearest-Neighbor Classification for Few-Shot Learning",
section 3 ("CL2N"): features less the training pictures' mean (each class counting alike), scaled to
unit length; a class is the direction of the mean of its own. The score is the cosine times a
sharpness, then a softmax; the sharpness has the highest likelihood on training pictures that were
set aside, and is 10 where there is none to set aside.
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
    training_part,
)
from cliplab.classifiers.trials import trials
from cliplab.embeddings.normalise import normalise
from cliplab.metrics.calibration import fit_temperature
from cliplab.nouns import Embeddings, Predictions
from cliplab.runtime.errors import DataError

NEEDS = frozenset({"train"})
SHARPNESS = 10.0  # of the softmax over cosines, where no picture is left to fit it on


@dataclass(frozen=True, slots=True)
class NearestMean:
    """The direction of each class from the mean of all."""

    centre: np.ndarray  # (F,) float32, the mean of the classes' means
    means: np.ndarray  # (C, F) float32, unit L2 norm
    sharpness: float
    class_names: tuple[str, ...]  # C names
    config: ProbeConfig
    settings: Mapping[str, Any]
    trace: Sequence[Mapping[str, Any]] = ()

    def cosines(self, embeddings: Embeddings) -> np.ndarray:
        """(N, C) float32 cosine to the direction of each class."""
        read = inputs(embeddings, self.config)
        if read.shape[1] != len(self.centre):
            raise DataError(
                f"The means have {len(self.centre)} features, these pictures have "
                f"{read.shape[1]}: they were made with another encoder."
            )
        found: np.ndarray = normalise(read - self.centre) @ self.means.T
        return found

    def predict(self, embeddings: Embeddings) -> Predictions:
        """Log-softmax of the sharpness times the cosines."""
        from scipy.special import log_softmax

        logits = np.float32(self.sharpness) * self.cosines(embeddings)
        scores = log_softmax(logits, axis=1).astype(np.float32)
        return Predictions(embeddings.ids, embeddings.labels, scores, self.class_names)

    def save(self, folder: Path) -> None:
        """Write nothing: the training pictures' embeddings give the means again."""


def fit(problem: Problem) -> NearestMean:
    """Take the means of all training and validation pictures; fit the sharpness on a part."""
    train = training_part(problem)
    everything = join(train, problem.validation)
    tried = trials(problem, train)
    sharpness, how = SHARPNESS, tried.how
    if tried.parts:
        parts = [_means(problem, part.kept, 1.0, {}).cosines(part.held) for part in tried.parts]
        warmth = fit_temperature(np.concatenate(parts), tried.held().labels)
        sharpness = 1 / warmth.value if warmth else SHARPNESS
    settings = {
        "sharpness": sharpness,
        "sharpness_fitted": how,
        "features": "pre" if reads_features(train, problem.config) else "post",
        "normalize": problem.config.normalize,
        "n_train": len(everything),
    }
    return _means(problem, everything, sharpness, settings)


def _means(
    problem: Problem, train: Embeddings, sharpness: float, settings: Mapping[str, Any]
) -> NearestMean:
    read = inputs(train, problem.config)
    n_classes = len(problem.class_names)
    present = np.unique(train.labels)
    centre = np.mean([read[train.labels == c].mean(axis=0) for c in present], axis=0)
    unit = normalise(read - centre)
    means = np.zeros((n_classes, read.shape[1]), dtype=np.float32)
    np.add.at(means, train.labels, unit)
    means = normalise(means)
    names, config = problem.class_names, problem.config
    return NearestMean(centre.astype(np.float32), means, sharpness, names, config, settings)
