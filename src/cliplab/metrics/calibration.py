"""Whether a classifier is as sure as it is right, and the temperature that makes it so."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Real

BINS = 15
_CUTS = 16  # a power of two: the cuts then meet the bins exactly
COLDEST, HOTTEST = 0.01, 100.0  # temperatures looked at
_FLAT = 1e-12  # nats: a slope of rounding errors


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

    Each bin is cut into 16: what resampling then leaves out is the spread within 1/16 of a bin,
    1e-5 of the variance.

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


class Temperature(NamedTuple):
    """By what logits are divided so that probabilities say how often they are right."""

    value: float  # 1: they do as they are; above: they are too sure; below: not sure enough
    loss_before: float  # mean negative log-likelihood of the labels, in nats
    loss_after: float  # the same at this temperature
    n: int  # pictures that it was fitted on
    at_end: bool  # no best value within `COLDEST` to `HOTTEST`: this is the end of that range


def fit_temperature(
    scores: Float[np.ndarray, "M C"], labels: Int[np.ndarray, " M"]
) -> Temperature | None:
    """Temperature of the highest likelihood: temperature scaling (Guo et al. 2017, section 4.2).

    With b = 1 / T and z the log-probabilities, the mean loss is convex in b,

        L(b)  = mean over pictures of logsumexp(b z) - b z_label
        L'(b) = mean over pictures of E_softmax(bz)[z] - z_label

    and the root of L' is found by Brent's method in log b. No class changes its rank by it.

    Parameters
    ----------
    scores
        (M, C) log-probabilities (or logits) of pictures that the classifier was not fitted on;
        -inf: the class was no candidate. Pictures whose label was none are left out.
    labels
        (M,) in 0..C-1.

    Returns
    -------
    Temperature or None
        None where no picture is left to fit on.
    """
    from scipy.optimize import brentq

    own = scores[np.arange(len(labels)), labels]
    scores = scores[np.isfinite(own)].astype(np.float64)
    labels = labels[np.isfinite(own)]
    if not len(labels):
        return None
    ends = np.log([1 / HOTTEST, 1 / COLDEST])
    slopes = [_loss_and_slope(scores, labels, np.exp(end))[1] for end in ends]
    at_end = False
    if max(map(abs, slopes)) < _FLAT:  # all classes alike: no temperature is better than another
        log_b = 0.0
    elif at_end := slopes[0] >= 0 or slopes[1] <= 0:
        log_b = ends[0] if slopes[0] >= 0 else ends[1]
    else:
        log_b = brentq(lambda at: _loss_and_slope(scores, labels, np.exp(at))[1], *ends)
    before, after = (_loss_and_slope(scores, labels, b)[0] for b in (1.0, np.exp(log_b)))
    return Temperature(float(np.exp(-log_b)), before, after, len(labels), bool(at_end))


def _loss_and_slope(scores: np.ndarray, labels: np.ndarray, b: float) -> tuple[float, float]:
    """Mean loss at inverse temperature b, and its derivative in b."""
    from scipy.special import logsumexp

    own = scores[np.arange(len(labels)), labels]
    total = logsumexp(b * scores, axis=1)
    share = np.exp(b * scores - total[:, None])
    expected = np.where(share > 0, share * np.where(share > 0, scores, 0.0), 0.0).sum(axis=1)
    return float((total - b * own).mean()), float((expected - own).mean())


def tempered(scores: Float[np.ndarray, "M C"], temperature: float) -> Float[np.ndarray, "M C"]:
    """Log-probabilities (M, C) float64 after dividing the logits by the temperature."""
    from scipy.special import log_softmax

    found: np.ndarray = log_softmax(scores.astype(np.float64) / temperature, axis=1)
    return found
