"""Predictions → the numbers of a record, each with its interval."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cliplab.metrics.calibration import calibration_error, cells
from cliplab.metrics.classification import confusion, mean_per_class, per_class, top_k
from cliplab.metrics.intervals import bootstrap, proportion
from cliplab.nouns import Measure, PerClass, Predictions


class Scores(NamedTuple):
    """How well a classifier did."""

    metrics: dict[str, Measure]  # top1, top5, mean_per_class, ece; in 0..1
    per_class: tuple[PerClass, ...]  # C rows
    confusion: np.ndarray  # (C, C) int64, rows the labels


def score(predictions: Predictions, seed: int = 0) -> Scores:
    """Score predictions: top-1, top-5, mean per class, calibration; by class; confusion counts.

    top-1 and top-5 carry Wilson's interval, the other two a percentile bootstrap over pictures
    (10,000 draws). top-5 of five classes or fewer is not scored, since it could not be wrong.
    """
    scores, labels = predictions.scores, predictions.labels
    n_classes = len(predictions.class_names)
    correct = top_k(scores, labels, 1)
    top5 = proportion(top_k(scores, labels, 5)) if n_classes > 5 else Measure(None)
    counts = confusion(labels, predictions.predicted, n_classes)
    metrics = {
        "top1": proportion(correct),
        "top5": top5,
        "mean_per_class": _mean_per_class(counts, seed),
        "ece": _calibration(predictions, correct, seed),
    }
    return Scores(metrics, per_class(counts, predictions.class_names), counts)


def _mean_per_class(confusion: np.ndarray, seed: int) -> Measure:
    totals, hits = confusion.sum(axis=1), confusion.diagonal()
    n_classes = len(totals)

    def statistic(counts: np.ndarray) -> np.ndarray:
        right, wrong = counts[:, :n_classes], counts[:, n_classes:]
        return mean_per_class(right + wrong, right)

    observed = np.concatenate([hits, totals - hits])
    return bootstrap(statistic, observed, seed=seed)


def _calibration(predictions: Predictions, correct: np.ndarray, seed: int) -> Measure:
    confidence = np.exp(predictions.scores.max(axis=1).astype(np.float64)).clip(0, 1)
    counts, gaps = cells(confidence, correct)
    return bootstrap(lambda drawn: calibration_error(drawn, gaps), counts, seed=seed)
