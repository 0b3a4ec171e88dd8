"""Training pictures set aside so that a setting can be chosen on pictures that were not fitted on.

N training pictures, n pictures set aside over all parts, C classes. The test pictures are never
among them, and neither is anything but what the problem brings: for few labels there is no
validation set beyond the labels themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from cliplab.classifiers.family import Problem, join, take
from cliplab.classifiers.selection import stratified_holdout
from cliplab.nouns import Embeddings

HELD_OUT = 0.2  # of each class, where there is no validation split
FOLDS = 4  # where there are few pictures: each is set aside once
FEW = 25  # fewer training pictures a class than this are few


class Trial(NamedTuple):
    """Pictures to fit on, and others to look at."""

    kept: Embeddings
    held: Embeddings


class Trials(NamedTuple):
    """The trials of a problem; none where no class has a picture to spare."""

    parts: tuple[Trial, ...]
    how: str  # in words, for the record
    few: bool  # whether they are folds, or would be if there were pictures enough

    def held(self) -> Embeddings:
        """Give the n pictures set aside, part after part."""
        return reduce(join, (part.held for part in self.parts))


def trials(problem: Problem, train: Embeddings) -> Trials:
    """Choose how settings are tried: on the validation split, on a held-out part, or in folds.

    The data set's own validation split is taken where there is one. Else, with 25 training pictures
    a class or more, a fifth of each class; with fewer, four folds, in which a class's pictures are
    dealt out in turn, so that each is set aside once and each fold lacks a class's pictures as
    evenly as can be. A class with one picture alone never lends it.
    """
    validation = problem.validation
    if validation is not None and len(validation):
        return Trials((Trial(train, validation),), "validation split", few=False)
    if len(train) >= FEW * len(np.unique(train.labels)):
        kept, held = stratified_holdout(train.labels, HELD_OUT, problem.seed)
        part = Trial(take(train, kept), take(train, held))
        return Trials((part,), f"{len(held)} training pictures held out", few=False)
    fold = dealt(train.labels, FOLDS, problem.seed)
    numbers = [number for number in range(FOLDS) if (fold == number).any()]
    if not numbers:
        return Trials((), "too few training pictures to choose on", few=True)
    parts = tuple(
        Trial(take(train, np.flatnonzero(fold != f)), take(train, np.flatnonzero(fold == f)))
        for f in numbers
    )
    return Trials(parts, f"{len(parts)} folds of the training pictures", few=True)


def dealt(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Fold (N,) int64 of each picture, class by class in turn; -1: the only one of its class."""
    generator = np.random.default_rng(seed)
    fold = np.full(len(labels), -1, dtype=np.int64)
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        if len(rows) > 1:
            fold[rows] = np.arange(len(rows)) % folds
    return fold


class Choice(NamedTuple):
    """The best of the settings tried."""

    setting: float
    scores: np.ndarray  # (n, C) what was said of the pictures set aside, with that setting
    trace: list[dict[str, Any]]  # a row a setting: itself, accuracy, loss


def choose(
    tried: Trials,
    name: str,
    settings: Sequence[float],
    said: Callable[[Trial], Callable[[float], np.ndarray]],
) -> Choice:
    """Try settings on the pictures set aside; the most accurate wins, of equals the lower loss.

    Parameters
    ----------
    tried
        At least one part.
    name
        Of the setting, in the trace.
    settings
        At least one; of equals in both respects the first.
    said
        Part → (setting → logits (n of the part, C)), so that what all settings share is computed
        once a part.
    """
    from scipy.special import log_softmax

    labels = tried.held().labels
    fitted = [said(part) for part in tried.parts]
    best: tuple[tuple[float, float], float, np.ndarray] | None = None
    trace = []
    for setting in settings:
        scores = np.concatenate([one(setting) for one in fitted])
        accuracy = float((scores.argmax(axis=1) == labels).mean())
        own = log_softmax(scores, axis=1)[np.arange(len(labels)), labels]
        loss = float(-own.mean())
        trace.append({name: setting, "accuracy": accuracy, "loss": loss})
        if best is None or (accuracy, -loss) > best[0]:
            best = (accuracy, -loss), setting, scores
    assert best is not None
    return Choice(best[1], best[2], trace)


def spread(features: np.ndarray) -> float:
    """Mean squared distance of the features (N, F) from their mean: the unit of a penalty.

    Penalties that are multiples of it mean the same for every encoder, whatever the scale of its
    features. 1 where all are alike.
    """
    centred = features - features.mean(axis=0, dtype=np.float64).astype(features.dtype)
    found = float(np.einsum("nf,nf->n", centred, centred).mean(dtype=np.float64))
    return found or 1.0
