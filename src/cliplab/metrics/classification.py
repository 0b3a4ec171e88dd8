"""Right or wrong: top-k, the table by class, confusion counts. Arrays in, numbers out.

Letters: M scored pictures, C classes. A class without pictures is not scored, which is None or NaN
and never 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from cliplab.metrics.intervals import wilson
from cliplab.nouns import PerClass


def top_k(
    scores: Float[np.ndarray, "M C"], labels: Int[np.ndarray, " M"], k: int
) -> Bool[np.ndarray, " M"]:
    """Tell for each picture whether its label is among the k highest scores.

    Of equal scores the lower class index comes first, as in `argmax`; -inf marks a class that was
    no candidate, and a label that was none is never found.

    Parameters
    ----------
    scores
        (M, C) any increasing score, -inf allowed, NaN not.
    labels
        (M,) in 0..C-1.
    k
        At least 1.

    Raises
    ------
    ValueError
        NaN among the scores, or k < 1.
    """
    if k < 1:
        raise ValueError(f"k is {k}; it must be at least 1.")
    if np.isnan(scores).any():
        raise ValueError("The scores hold NaN; the vectors or the classifier are broken.")
    own = scores[np.arange(len(labels)), labels][:, None]
    before = np.arange(scores.shape[1])[None, :] < labels[:, None]
    rank = (scores > own).sum(axis=1) + ((scores == own) & before).sum(axis=1)
    return np.asarray((rank < k) & (own[:, 0] > -np.inf))


def confusion(
    labels: Int[np.ndarray, " M"], predicted: Int[np.ndarray, " M"], n_classes: int
) -> Int[np.ndarray, "C C"]:
    """Count pictures in cells (C, C) int64: rows the given labels, columns what was predicted."""
    cells = labels.astype(np.int64) * n_classes + predicted
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def per_class(counts: Int[np.ndarray, "C C"], names: Sequence[str]) -> tuple[PerClass, ...]:
    """Row for each class: pictures, correct ones, accuracy and its 95 % Wilson interval.

    Parameters
    ----------
    counts
        (C, C) as `confusion` gives them.
    names
        C names.
    """
    totals, hits = counts.sum(axis=1), counts.diagonal()
    rows = []
    for name, n, correct in zip(names, totals.tolist(), hits.tolist(), strict=True):
        if n == 0:
            rows.append(PerClass(name, 0, 0, None, None, None))
        else:
            low, high = wilson(correct, n)
            rows.append(PerClass(name, n, correct, correct / n, float(low), float(high)))
    return tuple(rows)


FEW_PICTURES = 10
WIDE = 0.4


def few_pictures(row: PerClass) -> bool:
    """Tell whether a class has too few pictures for its accuracy to say much.

    Fewer than 10, or so few that its 95 % interval is wider than 40 points. A class without
    pictures is not scored, which says it already.
    """
    if row.low is None or row.high is None:
        return False
    return row.n < FEW_PICTURES or row.high - row.low > WIDE


def mean_per_class(
    counts: Real[np.ndarray, "*draws C"], hits: Real[np.ndarray, "*draws C"]
) -> Float[np.ndarray, "*draws"]:
    """Mean over the classes that have pictures of the share that is right; NaN if none has.

    The measure of CLIP's paper for Caltech101, FGVC Aircraft, Flowers102 and Oxford Pets (Radford
    et al. 2021, table 9).

    Parameters
    ----------
    counts
        (..., C) pictures of each class.
    hits
        (..., C) correct ones.
    """
    scored = counts > 0
    shares = np.where(scored, hits / np.maximum(counts, 1), 0.0)
    n_scored = scored.sum(axis=-1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(n_scored > 0, shares.sum(axis=-1) / n_scored, np.nan))
