"""What every classifier is given and what it hands back; members are found by listing the package.

A member is a module of this package, named as the classifier is, with

    NEEDS: frozenset[str]                what of the problem it reads: "text", "train"
    fit(problem: Problem) -> Fitted

and passes `tests/conformance/test_classifiers.py`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from cliplab.nouns import Embeddings, Predictions
from cliplab.runtime.errors import DataError, UnknownName

_NOT_MEMBERS = (
    "family", "selection", "estimator", "candidates", "trials", "few_labels", "held_out",
    "out_of_fold",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeConfig:
    """What a classifier that learns reads, and its settings where they are given, not chosen."""

    features: str = "pre"  # before the projection, as in CLIP's paper; "post": after it
    normalize: bool = False  # whether vectors are scaled to unit length first
    c: float | None = None  # inverse of the regularisation; None: chosen on validation pictures
    k: int | None = None  # neighbours of knn; None: likewise
    penalty: float | None = None  # of ridge, in units of the features' spread; None: likewise
    weights: tuple[float, float] | None = None  # of mixed: zero-shot's, the probe's; None: likewise

    def __post_init__(self) -> None:
        from cliplab.runtime.errors import UsageError

        if self.features not in ("pre", "post"):
            raise UsageError(f"--features {self.features}: give pre or post.")
        if self.c is not None and not (self.c > 0 and np.isfinite(self.c)):
            raise UsageError(f"--c {self.c}: C must be a positive number, such as 0.316.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """All that a classifier may use."""

    class_names: tuple[str, ...]  # C names
    class_vectors: np.ndarray | None = None  # (C, D) float32, unit L2 norm
    logit_scale: float = 100.0  # multiplies cosines
    logit_bias: float = 0.0
    train: Embeddings | None = None
    validation: Embeddings | None = None  # a split of the data set's own; None: part of train
    may_lack_training: bool = False  # whether classes may have no training pictures
    seed: int = 0
    config: ProbeConfig = ProbeConfig()


class Fitted(Protocol):
    """A classifier that is ready."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Plain types: what was chosen and how, for the record."""
        ...

    @property
    def trace(self) -> Sequence[Mapping[str, Any]]:
        """What the search tried, in order."""
        ...

    def predict(self, embeddings: Embeddings) -> Predictions:
        """Log-probabilities of each class for each picture."""
        ...

    def save(self, folder: Path) -> None:
        """Write what was learned into the folder of a run; nothing where nothing was."""
        ...


def classifier_names() -> list[str]:
    """Names of the classifiers there are."""
    import cliplab.classifiers as package

    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    return sorted(name for name in found if name not in _NOT_MEMBERS)


def classifier(name: str) -> ModuleType:
    """Give the member of that name; an unknown one gives the closest."""
    if name not in (known := classifier_names()):
        raise UnknownName("classifier", name, known)
    return importlib.import_module(f"cliplab.classifiers.{name}")


def inputs(embeddings: Embeddings, config: ProbeConfig) -> np.ndarray:
    """(N, F) float32 that a learned classifier reads: features where asked for and there are any.

    Raises
    ------
    DataError
        A vector that is not finite.
    """
    from cliplab.embeddings.normalise import normalise

    chosen = embeddings.features if reads_features(embeddings, config) else embeddings.vectors
    assert chosen is not None
    refuse_broken(chosen, embeddings.ids)
    return normalise(chosen) if config.normalize else chosen


def refuse_broken(vectors: np.ndarray, names: Sequence[str] | np.ndarray) -> None:
    """Raise DataError naming the first of the vectors (N, D) that is not finite."""
    if not np.isfinite(vectors).all():
        broken = names[int(np.argmin(np.isfinite(vectors).all(axis=1)))]
        raise DataError(
            f"The vector of {broken!r} is not finite: the weights or --precision are broken. "
            "Try --precision fp32."
        )


def reads_features(embeddings: Embeddings, config: ProbeConfig) -> bool:
    """Tell whether the features before the projection are read."""
    return config.features == "pre" and embeddings.features is not None


def training_part(problem: Problem) -> Embeddings:
    """Give the training pictures, or say that there are none, or for which classes."""
    train = problem.train
    if train is None or not len(train):
        raise DataError(
            "There are no training pictures to fit on. Give a train split, or score zero-shot "
            "alone with --classifier zero_shot."
        )
    present = np.zeros(len(problem.class_names), dtype=bool)
    present[train.labels] = True
    if problem.validation is not None:
        present[problem.validation.labels] = True
    if missing := [problem.class_names[c] for c in np.flatnonzero(~present)]:
        shown = ", ".join(map(repr, missing[:8])) + (" …" if len(missing) > 8 else "")
        raise DataError(
            f"{len(missing)} of {len(present)} classes have no training picture that can be read: "
            f"{shown}. Add pictures, leave the classes out, or use --classifier zero_shot."
        )
    return train


def join(a: Embeddings, b: Embeddings | None) -> Embeddings:
    """Give the pictures of both, in order."""
    if b is None:
        return a
    features = None
    if a.features is not None and b.features is not None:
        features = np.concatenate([a.features, b.features])
    return Embeddings(
        ids=np.concatenate([a.ids, b.ids]),
        vectors=np.concatenate([a.vectors, b.vectors]),
        features=features,
        labels=np.concatenate([a.labels, b.labels]),
        class_names=a.class_names,
        identity=a.identity,
        skipped=(*a.skipped, *b.skipped),
    )


def take(embeddings: Embeddings, rows: np.ndarray) -> Embeddings:
    """Give some of the pictures, in the order of `rows`."""
    features = None if embeddings.features is None else embeddings.features[rows]
    return Embeddings(
        ids=embeddings.ids[rows],
        vectors=embeddings.vectors[rows],
        features=features,
        labels=embeddings.labels[rows],
        class_names=embeddings.class_names,
        identity=embeddings.identity,
    )
