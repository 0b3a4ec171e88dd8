"""Whether a classifier is as sure as it is right."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

BINS = 15


class Reliability(NamedTuple):
    """Data of the reliability diagram, one entry a bin; empty bins hold NaN."""

    count: np.ndarray  # (bins,) int64 pictures
    confidence: np.ndarray  # (bins,) float64 mean confidence
    accuracy: np.ndarray  # (bins,) float64 share that is right


def bin_of(confidence: Float[np.ndarray, " M"], bins: int = BINS) -> Int[np.ndarray, " M"]:
    """Index of the equal-width bin ((b)/bins, (b+1)/bins] of each confidence; 0 is in the first."""
    if len(confidence) and not ((confidence >= 0) & (confidence <= 1 + 1e-6)).all():
        raise ValueError("Confidences must lie in 0..1.")
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def reliability(
    confidence: Float[np.ndarray, " M"], correct: Bool[np.ndarray, " M"], bins: int = BINS
) -> Reliability:
    """Mean confidence and accuracy by bin of confidence (Guo et al. 2017, section 2)."""
    place = bin_of(confidence, bins)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(place, confidence, bins) / count
        right = np.bincount(place, correct.astype(np.float64), bins) / count
    return Reliability(count, mean, right)


def calibration_error(
    confidence: Float[np.ndarray, " M"],
    correct: Bool[np.ndarray, " M"],
    weights: Float[np.ndarray, "R M"],
    bins: int = BINS,
) -> Float[np.ndarray, " R"]:
    """Give the expected calibration error of R weightings of the pictures.

        ECE = sum over bins of n_b / n * |accuracy_b - confidence_b|

    Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2, equation 3; equal-width
    bins of the confidence in the predicted class.

    Parameters
    ----------
    confidence
        (M,) probability of the predicted class, in 0..1.
    correct
        (M,) whether it was right.
    weights
        (R, M) how often each picture counts; ones (1, M) for the plain value.
    """
    gap = np.zeros((len(confidence), bins))
    gap[np.arange(len(confidence)), bin_of(confidence, bins)] = correct - confidence
    return np.asarray(np.abs(weights @ gap).sum(axis=1) / weights.sum(axis=1))
