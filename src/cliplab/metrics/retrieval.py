"""How well what is wanted is found: average precision, and ranks of pictures and their captions.

Letters: Q queries, N pictures, T captions, D width of the joint space, R draws.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from cliplab.metrics.intervals import bootstrap
from cliplab.nouns import Measure

WANTED, OTHER, JUNK = 1, 0, -1  # what a picture is to a query
_BLOCK = 8_000_000  # cosines in memory at once


def average_precision(ranked: Int[np.ndarray, " N"], n_wanted: int) -> float:
    """Area under the precision-recall curve of a ranking, as the Oxford benchmark measures it.

        AP = sum over wanted pictures of (P before + P at it) / 2 / n_wanted

    where P at rank r is the share of wanted ones among the first r, junk left out of the ranking
    as if it were not there, and P before the first rank is 1. It is the trapezoid rule of the
    benchmark's own `compute_ap` (Philbin et al. 2007, "Object retrieval with large vocabularies and
    fast spatial matching", section 3.1), not the mean of the precisions.

    Parameters
    ----------
    ranked
        (N,) what each picture is to the query, best first: 1 wanted, 0 not, -1 junk.
    n_wanted
        Wanted pictures there are; those that the ranking lacks are never found.

    Raises
    ------
    ValueError
        No picture is wanted, or more are found than there are.

    Examples
    --------
    Found first and third of two: the trapezoids are (1 + 1) / 2 and (1/2 + 2/3) / 2.

    >>> round(average_precision(np.array([1, -1, 0, 1]), 2), 4)
    0.7917
    """
    wanted = ranked[ranked != JUNK] == WANTED
    if n_wanted < 1 or wanted.sum() > n_wanted:
        raise ValueError(f"{wanted.sum()} pictures found of {n_wanted} that are wanted.")
    precision = np.cumsum(wanted) / np.arange(1, len(wanted) + 1)
    before = np.concatenate([[1.0], precision[:-1]])
    return float(((before + precision) / 2)[wanted].sum() / n_wanted)


def mean_over_queries(values: Float[np.ndarray, " Q"], seed: int) -> Measure:
    """Mean over queries, with a percentile bootstrap interval over queries; Q = 0: not scored."""
    if not len(values):
        return Measure(None)
    counts = np.ones(len(values), dtype=np.int64)
    return bootstrap(lambda drawn: drawn @ values / drawn.sum(axis=1), counts, seed=seed)


# ------------------------------------------------------------------------------- captions


class Ranks(NamedTuple):
    """At which rank the first right answer stands; 0 is the best."""

    of_picture: np.ndarray  # (T,) int64, of a caption's picture among all pictures
    of_caption: np.ndarray  # (N,) int64, of the best of a picture's own captions among all captions


def caption_ranks(
    pictures: Float[np.ndarray, "N D"],
    captions: Float[np.ndarray, "T D"],
    owner: Int[np.ndarray, " T"],
    block: int = _BLOCK,
) -> Ranks:
    """Rank pictures by each caption, and captions by each picture, by cosine.

    Of equal cosines the lower index comes first. Memory is `block` cosines, however many pictures.

    Parameters
    ----------
    pictures, captions
        Unit L2 norm.
    owner
        Index of each caption's picture. Every picture has at least one caption.

    Raises
    ------
    ValueError
        A picture without a caption.
    """
    if len(np.unique(owner)) != len(pictures):
        raise ValueError("Every picture needs a caption of its own to be found by.")
    of_picture = np.empty(len(captions), dtype=np.int64)
    for rows, cosines in _blocks(captions, pictures, block):
        of_picture[rows] = _rank(cosines, owner[rows])
    of_caption = np.empty(len(pictures), dtype=np.int64)
    for rows, cosines in _blocks(pictures, captions, block):
        own = owner[None, :] == np.arange(rows.start, rows.stop)[:, None]
        of_caption[rows] = _rank(cosines, np.where(own, cosines, -np.inf).argmax(axis=1))
    return Ranks(of_picture, of_caption)


def _blocks(left: np.ndarray, right: np.ndarray, block: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Cosines of some rows of `left` with all of `right`, as many at once as `block` allows."""
    step = max(1, block // len(right))
    for start in range(0, len(left), step):
        rows = slice(start, min(start + step, len(left)))
        yield rows, left[rows] @ right.T


def _rank(cosines: np.ndarray, at: np.ndarray) -> np.ndarray:
    """(B,) int64 how many of each row (B, N) come before the one at `at` (B,)."""
    own = cosines[np.arange(len(at)), at][:, None]
    earlier = np.arange(cosines.shape[1])[None, :] < at[:, None]
    rank: np.ndarray = (cosines > own).sum(axis=1) + ((cosines == own) & earlier).sum(axis=1)
    return rank


def recall(
    ranks: Int[np.ndarray, " M"],
    groups: Int[np.ndarray, " M"],
    k: int,
    n_candidates: int,
    seed: int,
) -> Measure:
    """Share of queries whose right answer is among the first k; not scored if all would be.

    CLIP's retrieval recall (Radford et al. 2021, table 13; Karpathy and Fei-Fei 2015): a query
    counts once if *any* right answer is among the first k. The interval is a percentile bootstrap
    over groups of queries, since the captions of one picture are hard together.

    Parameters
    ----------
    ranks
        (M,) of the first right answer to each query, 0 the best.
    groups
        (M,) in 0..: the picture that each query belongs to.
    k
        At least 1.
    n_candidates
        What is ranked; with k or fewer the answer could not be missed.
    seed
        Same seed, same interval.
    """
    if k >= n_candidates or not len(ranks):
        return Measure(None)
    n = np.bincount(groups)
    hits = np.bincount(groups, (ranks < k).astype(np.float64), len(n)).astype(np.int64)
    cells, counts = np.unique(np.stack([hits, n], axis=1)[n > 0], axis=0, return_counts=True)
    return bootstrap(lambda drawn: drawn @ cells[:, 0] / (drawn @ cells[:, 1]), counts, seed=seed)
