"""Whether a classifier is as sure as it is right."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Real

BINS = 15
_CUTS = 64  # a power of two: the cuts then meet the bins exactly


class Reliability(NamedTuple):
    """Data of the reliability diagram, one entry a bin; empty bins hold NaN."""

    n: np.ndarray  # (bins,) int64 pictures
    confidence: np.ndarray  # (bins,) float64 mean confidence
    accuracy: np.ndarray  # (bins,) float64 share that is right


def bin_of(confidence: Float[np.ndarray, " M"], bins: int = BINS) -> Int[np.ndarray, " M"]:
    """Index of the equal-width bin ((b)/bins, (b+1)/bins] of each confidence; 0 is in the first."""
    if len(confidence) and not ((confidence >= 0) & (confidence <= 1 + 1e-6)).all():
        raise ValueError("Confidences must lie in 0..1.")
    found: np.ndarray = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    return found


def reliability(
    confidence: Float[np.ndarray, " M"], correct: Bool[np.ndarray, " M"], bins: int = BINS
) -> Reliability:
    """Mean confidence and accuracy by bin of confidence (Guo et al. 2017, section 2)."""
    place = bin_of(confidence, bins)
    n = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(place, confidence, bins) / n
        right = np.bincount(place, correct.astype(np.float64), bins) / n
    return Reliability(n, mean, right)


class Cells(NamedTuple):
    """Pictures of nearly equal confidence, all right or all wrong, put together."""

    counts: np.ndarray  # (K,) int64 pictures
    gaps: np.ndarray  # (K, bins) float64: mean of right (0 or 1) - confidence, in the bin's column


def cells(
    confidence: Float[np.ndarray, " M"], correct: Bool[np.ndarray, " M"], bins: int = BINS
) -> Cells:
    """Gather the pictures for `calibration_error`, so that its cost does not grow with them.

    Each bin is cut into 64: what resampling then leaves out is the spread within 1/64 of a bin,
    1e-6 of the variance.

    Parameters
    ----------
    confidence
        (M,) probability of the predicted class, in 0..1.
    correct
        (M,) whether it was right.
    """
    cut = 2 * bin_of(confidence, bins * _CUTS) + correct
    place, cell, counts = np.unique(cut, return_inverse=True, return_counts=True)
    gaps = np.zeros((len(counts), bins))
    total = np.bincount(cell, correct - confidence, minlength=len(counts))
    gaps[np.arange(len(counts)), place // (2 * _CUTS)] = total / counts
    return Cells(counts, gaps)


def calibration_error(
    counts: Real[np.ndarray, "R K"], gaps: Float[np.ndarray, "K bins"]
) -> Float[np.ndarray, " R"]:
    """Give the expected calibration error of R weightings of cells.

        ECE = sum over bins of n_b / n * |accuracy_b - confidence_b|

    Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2, equation 3; equal-width
    bins of the confidence in the predicted class.

    Parameters
    ----------
    counts
        (R, K) how many pictures of each cell; `Cells.counts` in one row for the plain value.
    gaps
        (K, bins) as `cells` gives them.
    """
    found: np.ndarray = np.abs(counts @ gaps).sum(axis=1) / counts.sum(axis=1)
    return found
