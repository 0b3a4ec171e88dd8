"""Choosing a setting on validation pictures: the part held out, and the search of CLIP's paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


def stratified_holdout(
    labels: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split rows in two, class by class: those kept and those held out.

    Of each class of n pictures min(n - 1, round(fraction * n)) are held out, so that every class
    keeps one; which, is drawn from `seed`.

    Parameters
    ----------
    labels
        (N,) int64.
    fraction
        In 0..1.

    Returns
    -------
    tuple
        Rows kept and rows held out, each ascending int64.
    """
    generator = np.random.default_rng(seed)
    held: list[np.ndarray] = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        n_held = min(len(rows) - 1, round(fraction * len(rows)))
        held.append(generator.permutation(rows)[:n_held])
    out = np.sort(np.concatenate(held)) if held else np.empty(0, dtype=np.int64)
    kept = np.setdiff1d(np.arange(len(labels)), out)
    return kept, out


def halving_search(
    score: Callable[[int], tuple[float, ...]], n: int, starts: Sequence[int], spans: Sequence[int]
) -> int:
    """Find the position of a peak by probing coarsely, then ever closer around the best.

    The search of CLIP's paper (Radford et al. 2021, appendix A.3): its grid has eight steps a
    decade, the starts lie two decades apart, and the spans 8, 4, 2, 1 halve the interval around
    the peak until the grid's own resolution: 7 + 4 · 2 = 15 probes. A peak that is not the only
    one may be missed. The largest score wins, compared entry by entry; of equals the lower
    position.

    Parameters
    ----------
    score
        Position in 0..n-1 → score and what breaks its ties; asked for at most once each.
    n
        Positions on the grid.
    starts
        Positions probed first.
    spans
        Distances probed to both sides of the best so far, one round each.

    Returns
    -------
    int
        The position of the best score.
    """
    return halving_rounds(lambda some: [score(position) for position in some], n, starts, spans)


def halving_rounds(
    score: Callable[[Sequence[int]], Sequence[tuple[float, ...]]],
    n: int,
    starts: Sequence[int],
    spans: Sequence[int],
) -> int:
    """Search as `halving_search` does, asking for the scores of a whole round at once."""
    known = dict(zip(starts, score(starts), strict=True))

    def best() -> int:
        return max(known, key=lambda position: (known[position], -position))

    for span in spans:
        around = (best() - span, best() + span)
        asked = [place for place in around if 0 <= place < n and place not in known]
        known.update(zip(asked, score(asked), strict=True))
    return best()
