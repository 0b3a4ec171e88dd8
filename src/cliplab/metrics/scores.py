"""Predictions → the numbers of a record, each with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from cliplab.metrics.calibration import (
    BINS,
    calibration_error,
    cells,
    fit_temperature,
    reliability,
    tempered,
)
from cliplab.metrics.classification import confusion, mean_per_class, per_class, top_k
from cliplab.metrics.intervals import bootstrap, proportion
from cliplab.nouns import Measure, PerClass, Predictions, WithoutCatchAll

METRICS = ("top1", "top5", "mean_per_class", "ece")


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


def score_without(
    predictions: Predictions, catch_all: Sequence[int], seed: int = 0
) -> WithoutCatchAll | None:
    """Score the pictures of other classes than those of `catch_all`; None if there are none such.

    A class such as "general" holds whatever fits no other, so that what is right for it says little
    of the encoder. Its pictures are left out here; it stays a candidate, and a picture of another
    class that is taken for it is wrong.

    Parameters
    ----------
    predictions
        Of all pictures.
    catch_all
        Labels of the catch-all classes.
    seed
        Of the bootstraps.
    """
    if not catch_all:
        return None
    kept = np.flatnonzero(~np.isin(predictions.labels, list(catch_all)))
    rest = replace(
        predictions,
        ids=predictions.ids[kept],
        labels=predictions.labels[kept],
        scores=predictions.scores[kept],
    )
    classes = tuple(predictions.class_names[label] for label in catch_all)
    if not len(kept):
        return WithoutCatchAll(classes, 0, dict.fromkeys(METRICS, Measure(None)))
    return WithoutCatchAll(classes, len(kept), score(rest, seed).metrics)


def _mean_per_class(confusion: np.ndarray, seed: int) -> Measure:
    totals, hits = confusion.sum(axis=1), confusion.diagonal()
    n_classes = len(totals)

    def statistic(counts: np.ndarray) -> np.ndarray:
        right, wrong = counts[:, :n_classes], counts[:, n_classes:]
        return mean_per_class(right + wrong, right)

    observed = np.concatenate([hits, totals - hits])
    return bootstrap(statistic, observed, seed=seed)


def _calibration(predictions: Predictions, correct: np.ndarray, seed: int) -> Measure:
    confidence = _confidence(predictions.scores)
    counts, gaps = cells(confidence, correct)
    return bootstrap(lambda drawn: calibration_error(drawn, gaps), counts, seed=seed)


def _confidence(scores: np.ndarray) -> np.ndarray:
    """(M,) float64 probability of the predicted class, in 0..1."""
    found: np.ndarray = np.exp(scores.max(axis=1).astype(np.float64)).clip(0, 1)
    return found


def calibration(
    predictions: Predictions, unseen: Predictions | None, fitted_on: str
) -> dict[str, Any]:
    """Reliability of the scored pictures, as they are and at a temperature fitted on others.

    Parameters
    ----------
    predictions
        Of the scored pictures.
    unseen
        The same classifier's, of pictures that it was not fitted on and that are not scored; None:
        there are none, and no temperature is fitted.
    fitted_on
        What `unseen` is, or why there is none, in words.

    Returns
    -------
    dict
        The block `calibration` of a result, as the record's schema says.
    """
    scores, right = predictions.scores, predictions.predicted == predictions.labels
    found = None if unseen is None else fit_temperature(unseen.scores, unseen.labels)
    block = {
        "temperature": None if found is None else found.value,
        "fitted_on": fitted_on,
        "n_fitted": 0 if found is None else found.n,
        "at_end": found is not None and found.at_end,
        "ece": _ece(scores, right),
        "ece_tempered": None,
        "reliability": _reliability(scores, right),
        "reliability_tempered": None,
    }
    if found is not None:
        warmed = tempered(scores, found.value)
        block["ece_tempered"] = _ece(warmed, right)
        block["reliability_tempered"] = _reliability(warmed, right)
    return block


def _ece(scores: np.ndarray, right: np.ndarray) -> float | None:
    counts, gaps = cells(_confidence(scores), right)
    return float(calibration_error(counts[None, :], gaps)[0]) if len(right) else None


def _reliability(scores: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    """Give a row a bin; of an empty one confidence and accuracy are None."""
    found = reliability(_confidence(scores), right)
    rows = zip(found.n.tolist(), found.confidence.tolist(), found.accuracy.tolist(), strict=True)
    return [
        {
            "low": bin / BINS,
            "high": (bin + 1) / BINS,
            "n": n,
            "confidence": confidence if n else None,
            "accuracy": accuracy if n else None,
        }
        for bin, (n, confidence, accuracy) in enumerate(rows)
    ]
