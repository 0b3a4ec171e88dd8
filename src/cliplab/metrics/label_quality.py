"""Which labels are probably wrong, from probabilities that were not fitted on them.

Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels"
(Journal of Artificial Intelligence Research 70). Letters: N pictures, C classes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class LabelQuality(NamedTuple):
    """What the probabilities say of each given label."""

    confidence: np.ndarray  # (N,) float64 in 0..1, probability of the given label
    margin: np.ndarray  # (N,) float64 in 0..1; 0: surely wrong, 1/2: tied, 1: surely right
    likeliest: np.ndarray  # (N,) int64, the likeliest class but for the given one
    suspect: np.ndarray  # (N,) bool, among those that the noise rates say are wrong


def label_quality(
    probabilities: Float[np.ndarray, "N C"], labels: Int[np.ndarray, " N"]
) -> LabelQuality:
    """Judge given labels by out-of-fold probabilities.

    How many pictures labelled i are of class j is estimated by the confident joint (section 3.1):
    with t_j the mean probability of j over the pictures labelled j, a picture counts for the
    likeliest of the classes with p_j >= t_j; rows are scaled to the pictures of each label. Of
    each label, as many pictures as the joint has off its diagonal are *suspect* (section 3.2, prune
    by class), those of the lowest normalised margin

        margin = (p_given - max over other classes of p + 1) / 2

    if it is below 1/2. Thresholds by class keep a class on which the classifier is unsure from
    being suspected as a whole.

    Parameters
    ----------
    probabilities
        Rows add up to 1; of a classifier that has not seen the picture's own label.
    labels
        In 0..C-1.

    Raises
    ------
    ValueError
        One class alone, or probabilities that are not finite.
    """
    n, n_classes = probabilities.shape
    if n_classes < 2:
        raise ValueError("Labels of one class alone cannot be told apart.")
    if not np.isfinite(probabilities).all():
        raise ValueError("The probabilities are not finite; the classifier is broken.")
    p = probabilities.astype(np.float64)
    rows = np.arange(n)
    own = p[rows, labels]
    others = p.copy()
    others[rows, labels] = -np.inf
    likeliest = others.argmax(axis=1)
    margin = (own - p[rows, likeliest] + 1) / 2
    return LabelQuality(
        own, margin, likeliest, _suspects(margin, labels, confident_joint(p, labels))
    )


def confident_joint(
    probabilities: Float[np.ndarray, "N C"], labels: Int[np.ndarray, " N"]
) -> Float[np.ndarray, "C C"]:
    """Estimate how many pictures of each given label (rows) are of each class (columns).

    Section 3.1, equations 1 and 2, rows scaled to the counts of the labels; a row of which nothing
    is confident stays on its diagonal.
    """
    n_classes = probabilities.shape[1]
    own = probabilities[np.arange(len(labels)), labels]
    counts = np.bincount(labels, minlength=n_classes)
    sums = np.bincount(labels, own, n_classes)
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)
    # a mean of equal numbers may come out larger than they are by a rounding error
    confident = np.where(probabilities >= thresholds * (1 - 1e-12), probabilities, -np.inf)
    counted = confident.max(axis=1) > -np.inf
    joint = np.zeros((n_classes, n_classes))
    np.add.at(joint, (labels[counted], confident.argmax(axis=1)[counted]), 1)
    totals = joint.sum(axis=1)
    scaled: np.ndarray = joint * (counts / np.where(totals > 0, totals, 1))[:, None]
    scaled[np.diag_indices(n_classes)] += np.where(totals > 0, 0, counts)
    return scaled


def _suspects(margin: np.ndarray, labels: np.ndarray, joint: np.ndarray) -> np.ndarray:
    """(N,) bool: of each label as many as the joint has off its diagonal, the lowest margins."""
    suspect = np.zeros(len(labels), dtype=bool)
    wrong = np.rint(joint.sum(axis=1) - joint.diagonal()).astype(np.int64)
    for label in np.flatnonzero(wrong):
        rows = np.flatnonzero(labels == label)
        worst = rows[np.argsort(margin[rows], kind="stable")[: wrong[label]]]
        suspect[worst[margin[worst] < 0.5]] = True
    return suspect
