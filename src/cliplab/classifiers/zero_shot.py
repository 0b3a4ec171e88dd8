"""Zero-shot: the class whose caption lies closest to the picture; nothing is learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cliplab.classifiers.family import Problem, refuse_broken
from cliplab.embeddings.normalise import normalise
from cliplab.nouns import Embeddings, Predictions
from cliplab.runtime.errors import UsageError

NEEDS = frozenset({"text"})


@dataclass(frozen=True, slots=True)
class ZeroShot:
    """Cosines to the classes' vectors, scaled as the encoder was trained, then a softmax."""

    class_names: tuple[str, ...]  # C names
    class_vectors: np.ndarray  # (C, D) float32, unit L2 norm
    logit_scale: float
    logit_bias: float
    settings: Mapping[str, Any]
    trace: Sequence[Mapping[str, Any]] = ()

    def predict(self, embeddings: Embeddings) -> Predictions:
        """Log-softmax of scale times cosine plus bias (Radford et al. 2021, section 3.1.2)."""
        from scipy.special import log_softmax

        refuse_broken(embeddings.vectors, embeddings.ids)
        cosines = normalise(embeddings.vectors) @ self.class_vectors.T
        logits = np.float32(self.logit_scale) * cosines + np.float32(self.logit_bias)
        scores = log_softmax(logits, axis=1).astype(np.float32)
        return Predictions(embeddings.ids, embeddings.labels, scores, self.class_names)

    def save(self, folder: Path) -> None:
        """Write nothing: captions and encoder say it all, and both are in the record."""


def fit(problem: Problem) -> ZeroShot:
    """Take the classes' vectors as they are."""
    if problem.class_vectors is None:
        raise UsageError("Zero-shot needs the vectors of the classes' captions.")
    refuse_broken(problem.class_vectors, problem.class_names)
    settings = {"logit_scale": problem.logit_scale, "logit_bias": problem.logit_bias}
    return ZeroShot(
        problem.class_names,
        problem.class_vectors,
        problem.logit_scale,
        problem.logit_bias,
        settings,
    )
