"""Who lies close to whom, in blocks, so that memory does not grow with the square of the pictures.

Letters: N pictures, D width, k neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

_BLOCK = 8_000_000  # cosines in memory at once


class Neighbours(NamedTuple):
    """The pictures nearest to each, by cosine, nearest first."""

    others: np.ndarray  # (N, k) int64
    cosine: np.ndarray  # (N, k) float32
    across: np.ndarray  # (N,) int64, nearest of another group; -1: there is none
    across_cosine: np.ndarray  # (N,) float32; -inf where there is none


def nearest(
    vectors: Float[np.ndarray, "N D"],
    groups: Int[np.ndarray, " N"],
    k: int,
    *,
    block: int = _BLOCK,
    advance: Callable[[int], None] = lambda _count: None,
) -> Neighbours:
    """Find the k nearest others of each picture, and the nearest one of another group.

    Exact: every pair is looked at, 2 N² D operations; memory is `block` cosines and the result.

    Parameters
    ----------
    vectors
        float32, unit L2 norm.
    groups
        What "another group" means: the split of each picture.
    k
        At least 1; at most N - 1 are found.
    advance
        Told how many more pictures are done.
    """
    n = len(vectors)
    k = min(k, n - 1)
    others, cosine = np.empty((n, max(k, 0)), np.int64), np.empty((n, max(k, 0)), np.float32)
    across, across_cosine = np.full(n, -1, np.int64), np.full(n, -np.inf, np.float32)
    step = max(1, block // max(n, 1))
    for start in range(0, n if k > 0 else 0, step):
        rows = slice(start, min(start + step, n))
        found = vectors[rows] @ vectors.T
        here = np.arange(len(found))
        found[here, here + start] = -np.inf
        near = np.argpartition(-found, k - 1, axis=1)[:, :k]
        close = np.take_along_axis(found, near, axis=1)
        order = np.argsort(-close, axis=1, kind="stable")
        others[rows] = np.take_along_axis(near, order, axis=1)
        cosine[rows] = np.take_along_axis(close, order, axis=1)
        found[groups[rows][:, None] == groups[None, :]] = -np.inf
        best = found.argmax(axis=1)
        across_cosine[rows] = found[here, best]
        across[rows] = np.where(across_cosine[rows] > -np.inf, best, -1)
        advance(len(found))
    return Neighbours(others, cosine, across, across_cosine)


def outlyingness(values: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """How far above the middle each value lies, in robust standard deviations.

        (x - median) / (1.4826 · median |x - median|)

    The modified z-score (Iglewicz and Hoaglin 1993, "How to Detect and Handle Outliers"); zeros
    where half of the values are equal, since nothing then says how far is far.
    """
    middle = np.median(values) if len(values) else 0.0
    spread = 1.4826 * np.median(np.abs(values - middle)) if len(values) else 0.0
    found: np.ndarray = (values - middle) / spread if spread > 0 else np.zeros(len(values))
    return found
