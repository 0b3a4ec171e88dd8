"""What a probe says of each picture that it has not seen: five folds, copies kept together."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from cliplab.classifiers import linear_probe
from cliplab.classifiers.family import ProbeConfig, Problem, take
from cliplab.nouns import UNLABELLED, Embeddings
from cliplab.runtime.progress import progress

FOLDS = 5


class OutOfFold(NamedTuple):
    """Probabilities of n labelled pictures, each from a probe that was not fitted on it."""

    rows: np.ndarray  # (n,) int64, of the embeddings, ascending
    classes: np.ndarray  # (K,) int64, ascending: those with two different pictures
    probabilities: np.ndarray  # (n, K) float64, rows add up to 1


def out_of_fold(
    seen: Embeddings, labels: np.ndarray, groups: np.ndarray, *, features: str = "pre", seed: int
) -> OutOfFold | None:
    """Probabilities of each labelled picture from the probe of the folds that it is not in.

    Classes of which there are no two different pictures are left out: without the one there would
    be nothing to learn from. C is chosen on a part of the first fold's training pictures and kept,
    so that one search serves all folds.

    Parameters
    ----------
    seen
        Vectors of N pictures.
    labels
        (N,) int64 in -1..C-1; -1 is unlabelled.
    groups
        (N,) int64, the same for copies of one picture, which are never told apart by fold.
    features
        "pre" or "post", as for the linear probe.
    seed
        Of the folds.

    Returns
    -------
    OutOfFold or None
        None where fewer than two classes are left.
    """
    present = np.unique(labels[labels != UNLABELLED])
    large = [c for c in present if len(np.unique(groups[labels == c])) > 1]
    if len(large) < 2:
        return None
    classes = np.array(large, dtype=np.int64)
    rows = np.flatnonzero(np.isin(labels, classes))
    names = tuple(map(str, classes))
    truth = np.searchsorted(classes, labels[rows])
    known = replace(take(seen, rows), labels=truth, class_names=names)
    fold = deal(truth, groups[rows], seed)
    probabilities = np.zeros((len(rows), len(classes)))
    c: float | None = None
    with progress("judging labels", FOLDS, unit="folds") as advance:
        for number in np.unique(fold):
            here, others = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
            settings = ProbeConfig(features=features, c=c)
            problem = Problem(
                class_names=names, train=take(known, others), seed=seed, config=settings
            )
            fitted = linear_probe.fit(problem)
            c = float(fitted.settings["C"])
            probabilities[here] = np.exp(fitted.predict(take(known, here)).scores)
            advance(1)
    return OutOfFold(rows, classes, probabilities)


def deal(labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """(N,) int64 fold in 0..4 of each picture: each class is dealt out in turn, groups as one.

    A class of two groups or more is never in one fold alone. A group whose pictures have different
    labels is dealt with the class of its first.
    """
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    of_group = np.zeros(len(first), dtype=np.int64)
    generator = np.random.default_rng(seed)
    start = 0
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels[first] == label))
        of_group[members] = (start + np.arange(len(members))) % FOLDS
        start += len(members)  # so that small classes do not all meet in the first fold
    found: np.ndarray = of_group[group]
    return found
