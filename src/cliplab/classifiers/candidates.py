"""A classifier over the classes that have training pictures, where a source is known to lack some.

A class without a training picture cannot be learned. It is no candidate: its score is -inf, so that
its own pictures count as wrong, and stay counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from cliplab.classifiers.family import Fitted, Problem, classifier
from cliplab.nouns import Embeddings, Predictions
from cliplab.runtime.errors import DataError


@dataclass(frozen=True, slots=True)
class OverAllClasses:
    """A classifier fitted on some of the classes, answering over all of them."""

    fitted: Fitted  # over K of the C classes
    trained: np.ndarray  # (K,) int64, the classes that it knows, ascending
    class_names: tuple[str, ...]  # C names

    @property
    def settings(self) -> Mapping[str, Any]:
        """Settings of the fitted classifier, and the classes that it does not know."""
        known = set(self.trained.tolist())
        left_out = [name for label, name in enumerate(self.class_names) if label not in known]
        return {**self.fitted.settings, "untrained_classes": left_out}

    @property
    def trace(self) -> Sequence[Mapping[str, Any]]:
        """What the fitted classifier's search tried."""
        return self.fitted.trace

    def predict(self, embeddings: Embeddings) -> Predictions:
        """Log-probabilities of all C classes; -inf for those without training pictures."""
        found = self.fitted.predict(embeddings).scores
        scores = np.full((len(found), len(self.class_names)), -np.inf, dtype=np.float32)
        scores[:, self.trained] = found
        return Predictions(embeddings.ids, embeddings.labels, scores, self.class_names)

    def save(self, folder: Path) -> None:
        """Write what was learned, of the classes that are known."""
        self.fitted.save(folder)


def fit(name: str, problem: Problem) -> Fitted:
    """Fit the classifier of that name on the classes that have training pictures.

    Where all have, or classes must not lack them (`Problem.may_lack_training`), it is given the
    problem as it is.

    Raises
    ------
    DataError
        If fewer than two classes have training pictures that can be read.
    """
    member: ModuleType = classifier(name)
    fitted: Fitted
    if "train" not in member.NEEDS or not problem.may_lack_training or problem.train is None:
        fitted = member.fit(problem)
        return fitted
    parts = [part.labels for part in (problem.train, problem.validation) if part is not None]
    trained = np.unique(np.concatenate(parts))
    if len(trained) < 2:
        raise DataError(
            f"{len(trained)} of {len(problem.class_names)} classes have training pictures that can "
            "be read; a probe takes two. Add pictures, or use --classifier zero_shot."
        )
    if len(trained) == len(problem.class_names):
        fitted = member.fit(problem)
        return fitted
    return OverAllClasses(member.fit(_of(problem, trained)), trained, problem.class_names)


def _of(problem: Problem, trained: np.ndarray) -> Problem:
    """Give the problem with these classes alone, numbered anew in their order."""
    names = tuple(problem.class_names[label] for label in trained)
    vectors = problem.class_vectors
    return replace(
        problem,
        class_names=names,
        class_vectors=None if vectors is None else vectors[trained],
        train=_renumbered(problem.train, trained, names),
        validation=_renumbered(problem.validation, trained, names),
    )


def _renumbered(
    embeddings: Embeddings | None, trained: np.ndarray, names: tuple[str, ...]
) -> Embeddings | None:
    if embeddings is None:
        return None
    labels = np.searchsorted(trained, embeddings.labels).astype(np.int64)
    return replace(embeddings, labels=labels, class_names=names)
