"""How alike two sets of pictures are, by their features: what is drawn against what is real.

Letters: N and M pictures of the two sets, F features, k neighbours, G groups, R draws.

- ``frechet_distance`` (Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule …",
  section "Fréchet Inception Distance"): between the Gaussians of the same means and covariances. It
  is biased upward by a term that falls as 1/N (Chong and Forsyth 2020), so that only distances of
  sets of the same sizes may be compared: give that of two real sets of those sizes beside it.
- ``kernel_distance`` (KID, Bińkowski et al. 2018, "Demystifying MMD GANs", section 4): the squared
  maximum mean discrepancy with the kernel (x·y / F + 1)³. It is unbiased at any size, and may
  therefore be below 0.
- ``manifolds``: precision and recall (Kynkäänniemi et al. 2019, section 2), density and coverage
  (Naeem et al. 2020, section 3), by balls that reach to each picture's k-th neighbour of its set.
- ``spread``: mean distance of two different pictures of a set, the diversity within it.

Features of one network are never to be held against those of another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from cliplab.metrics.intervals import percentiles
from cliplab.nouns import Measure

PARTS = 20  # groups that the jackknife leaves out one by one
GROUPS = 100  # of pictures, that the bootstrap of the kernel distance draws
NEIGHBOURS = 3  # k of precision and recall (Kynkäänniemi et al. 2019, section 2)
DENSE_NEIGHBOURS = 5  # k of density and coverage (Naeem et al. 2020, section 4)
_BLOCK = 4_000_000  # numbers in memory at once, beside the features
_SLACK = 1 + 1e-9  # a neighbour on the edge of a ball is in it, however its distance was rounded


# ------------------------------------------------------------------------------- Fréchet


def frechet_distance(a: Float[np.ndarray, "N F"], b: Float[np.ndarray, "M F"]) -> float:
    """Give the Fréchet distance of the Gaussians that fit two sets, 0 or more.

        |μa - μb|² + tr Ca + tr Cb - 2 tr (Ca Cb)^½

    With A the centred features over sqrt(N - 1), Ca = AᵀA; then tr (Ca Cb)^½ is the sum of the
    singular values of A Bᵀ, which are those of Ra Rbᵀ where A = Qa Ra. No root of a matrix is
    taken, so that fewer pictures than features (covariances without full rank) are exact too.

    Parameters
    ----------
    a, b
        Features, two pictures each at least.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError("A covariance takes two pictures or more.")
    (mean_a, root_a), (mean_b, root_b) = _moments(a), _moments(b)
    return _frechet(mean_a, root_a, mean_b, root_b)


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (F,) and R with RᵀR the unbiased covariance, at most F rows."""
    x = features.astype(np.float64)
    mean = x.mean(axis=0)
    root = np.linalg.qr((x - mean) / np.sqrt(len(x) - 1), mode="r")
    return mean, np.asarray(root)


def _frechet(
    mean_a: np.ndarray, root_a: np.ndarray, mean_b: np.ndarray, root_b: np.ndarray
) -> float:
    apart = float(np.square(mean_a - mean_b).sum())
    traces = float(np.square(root_a).sum() + np.square(root_b).sum())
    common = float(np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum())
    return max(0.0, apart + traces - 2 * common)


def frechet_measure(
    a: Float[np.ndarray, "N F"],
    b: Float[np.ndarray, "M F"],
    *,
    seed: int,
    parts: int = PARTS,
) -> Measure:
    """Give the Fréchet distance with an interval by the jackknife over groups of pictures.

    Each set is cut at random into `parts` groups, which are left out one by one (Efron and
    Tibshirani 1993, chapter 11; the delete-a-group jackknife); the interval is the value ± 1.96
    standard errors. It tells how much other pictures would move the number at this size, and not
    the bias, which the distance of two real sets of this size has as well. A bootstrap would add a
    bias of its own, since a picture that is drawn twice lowers the rank.

    Parameters
    ----------
    a, b
        Features; fewer than two pictures are not scored, fewer than four have no interval.
    seed
        Of the groups.
    """
    smaller = min(len(a), len(b))
    if smaller < 2:
        return Measure(None)
    value, parts = frechet_distance(a, b), min(parts, smaller // 2)
    if parts < 2:
        return Measure(value)
    whole_a, whole_b = _moments(a), _moments(b)
    variance = 0.0
    for features, other, number in ((a, whole_b, 0), (b, whole_a, 1)):
        groups = _groups(len(features), parts, np.random.default_rng([seed, number]))
        left = [_moments(features[groups != group]) for group in range(parts)]
        found = np.array([_frechet(*moments, *other) for moments in left])
        variance += (parts - 1) / parts * float(np.square(found - found.mean()).sum())
    half = 1.96 * variance**0.5
    return Measure(value, max(0.0, value - half), value + half)


def _groups(n: int, parts: int, generator: np.random.Generator) -> np.ndarray:
    """(n,) the group of each picture, all of one size or one picture apart."""
    found: np.ndarray = generator.permutation(np.arange(n) % parts)
    return found


# ------------------------------------------------------------------------------- kernel distance


def kernel_distance(
    a: Float[np.ndarray, "N F"],
    b: Float[np.ndarray, "M F"],
    *,
    seed: int,
    groups: int = GROUPS,
    draws: int = 1_000,
) -> Measure:
    """Give the kernel distance (KID) with an interval by a bootstrap over groups of pictures.

    The value is the unbiased estimate over all pairs of different pictures. Each set is cut at
    random into groups, and what a draw needs of the kernel are its sums over pairs of groups: a
    group that is drawn w times counts w-fold, its pairs with itself w²-fold, and no picture is ever
    paired with itself, so that the draws are unbiased too. Memory does not grow with N M.

    Parameters
    ----------
    a, b
        Features; fewer than two pictures are not scored.
    seed
        Of groups and draws.
    groups
        Of each set, at most as many as it has pictures.
    draws
        Resamples R.
    """
    if min(len(a), len(b)) < 2:
        return Measure(None)
    generator = np.random.default_rng(seed)
    of_a, of_b = (_groups(len(x), min(groups, len(x)), generator) for x in (a, b))
    within_a, within_b = _within(a, of_a), _within(b, of_b)
    between = _kernel_sums(a, of_a, b, of_b), np.outer(np.bincount(of_a), np.bincount(of_b))

    def distance(w: np.ndarray, v: np.ndarray) -> np.ndarray:
        apart = _mean(within_a, w, w) + _mean(within_b, v, v) - 2 * _mean(between, w, v)
        return np.asarray(apart)

    n_a, n_b = len(np.bincount(of_a)), len(np.bincount(of_b))
    once = distance(np.ones((1, n_a)), np.ones((1, n_b)))
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = distance(
            *(
                generator.multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)
                for n in (n_a, n_b)
            )
        )
    return percentiles(float(once[0]), drawn)


def _mean(sums: tuple[np.ndarray, np.ndarray], w: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(R,) mean of the kernel over pairs, of groups that count w- and v-fold."""
    kernel, pairs = sums
    above, below = (np.einsum("rg,gh,rh->r", w, part, v, optimize=True) for part in (kernel, pairs))
    found: np.ndarray = above / below
    return found


def _within(x: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum the kernel over pairs of different pictures of one set, and count them."""
    sums, counts = _kernel_sums(x, groups, x, groups), np.bincount(groups)
    own = (np.square(x.astype(np.float64)).sum(axis=1) / x.shape[1] + 1) ** 3
    sums -= np.diag(np.bincount(groups, own))
    return sums, np.outer(counts, counts) - np.diag(counts)


def _kernel_sums(a: np.ndarray, of_a: np.ndarray, b: np.ndarray, of_b: np.ndarray) -> np.ndarray:
    """(Ga, Gb) sums of (x·y / F + 1)³ over the pairs of two groups."""
    order = np.argsort(of_b, kind="stable")
    there = b[order].astype(np.float64).T / b.shape[1]
    starts = np.searchsorted(of_b[order], np.arange(of_b.max() + 1))
    found = np.zeros((int(of_a.max()) + 1, len(starts)))
    for rows in _blocks(len(a), len(b)):
        kernel = (a[rows].astype(np.float64) @ there + 1) ** 3
        np.add.at(found, of_a[rows], np.add.reduceat(kernel, starts, axis=1))
    return found


def _blocks(n: int, across: int) -> Iterator[slice]:
    """Give runs of rows, so that a block of rows by `across` is bounded."""
    step = max(1, _BLOCK // max(across, 1))
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


# ------------------------------------------------------------------------------- manifolds


class Manifolds(NamedTuple):
    """What lies in whose balls, picture by picture; each number of the set is the mean of one."""

    precise: np.ndarray  # (M,) bool: drawn, and in the ball of some real picture
    recalled: np.ndarray  # (N,) bool: real, and in the ball of some drawn picture
    density: np.ndarray  # (M,) float64: balls of real pictures that hold the drawn one, over k
    covered: np.ndarray  # (N,) bool: real, and its own ball holds a drawn picture


def manifolds(
    real: Float[np.ndarray, "N F"],
    drawn: Float[np.ndarray, "M F"],
    *,
    k: int = NEIGHBOURS,
    k_dense: int = DENSE_NEIGHBOURS,
) -> Manifolds:
    """Tell which drawn pictures lie among the real ones, and which real ones are reached.

    The ball of a picture reaches to its k-th neighbour of the same set. Precision and recall are
    the means of `precise` and `recalled` (k = 3), density and coverage those of `density` and
    `covered` (k = 5). Of two real sets of these sizes they say what can be reached.

    Parameters
    ----------
    real, drawn
        Features, two pictures each at least; of as few as k, the farthest one counts as the k-th.
    k, k_dense
        Neighbours.
    """
    if min(len(real), len(drawn)) < 2:
        raise ValueError("A ball takes two pictures of a set or more.")
    real, drawn = real.astype(np.float64), drawn.astype(np.float64)
    reach_real = _reach(real, (k, k_dense))
    reach_drawn = _reach(drawn, (k,))[:, 0]
    precise, density = np.empty(len(drawn), dtype=bool), np.empty(len(drawn))
    recalled, covered = np.zeros(len(real), dtype=bool), np.zeros(len(real), dtype=bool)
    used = min(k_dense, len(real) - 1)
    for rows in _blocks(len(drawn), len(real)):
        found = squared_distances(drawn[rows], real)
        precise[rows] = (found <= reach_real[:, 0]).any(axis=1)
        inside = found <= reach_real[:, 1]
        density[rows] = inside.sum(axis=1) / used
        covered |= inside.any(axis=0)
        recalled |= (found <= reach_drawn[rows, None]).any(axis=0)
    return Manifolds(precise, recalled, density, covered)


def _reach(x: np.ndarray, ks: tuple[int, ...]) -> np.ndarray:
    """(N, len(ks)) squared distances from each picture to its k-th neighbours."""
    most = [min(k, len(x) - 1) - 1 for k in ks]
    found = np.empty((len(x), len(ks)))
    for rows in _blocks(len(x), len(x)):
        near = squared_distances(x[rows], x)
        here = np.arange(len(near))
        near[here, here + rows.start] = np.inf
        found[rows] = np.partition(near, sorted(set(most)), axis=1)[:, most]
    return found * _SLACK


def squared_distances(
    a: Float[np.ndarray, "N F"], b: Float[np.ndarray, "M F"]
) -> Float[np.ndarray, "N M"]:
    """Give squared Euclidean distances of all pairs, in the precision of what is given."""
    found: np.ndarray = a @ b.T
    found *= -2
    found += np.einsum("nf,nf->n", a, a)[:, None]
    found += np.einsum("mf,mf->m", b, b)
    return np.asarray(np.maximum(found, 0, out=found))


# ------------------------------------------------------------------------------- diversity


def distances_within(features: Float[np.ndarray, "N F"]) -> Float[np.ndarray, "N N"]:
    """Euclidean distances of the pictures of one set; float64, zeros on the diagonal."""
    x = features.astype(np.float64)
    found: np.ndarray = np.sqrt(squared_distances(x, x))
    np.fill_diagonal(found, 0.0)
    return found


def spread(
    distances: Float[np.ndarray, "N N"], weights: Float[np.ndarray, "R N"] | None = None
) -> Float[np.ndarray, " R"]:
    """Give the mean distance of two different pictures of a set.

    Parameters
    ----------
    distances
        As `distances_within` gives them.
    weights
        (R, N) how often each picture counts, in each of R resamples; None: once, R = 1. Pairs of a
        picture with itself are left out, so that resamples are not nearer together than the set.

    Returns
    -------
    numpy.ndarray
        (R,); NaN where there are no two different pictures.
    """
    w = np.ones((1, len(distances))) if weights is None else weights
    total = np.einsum("rn,rn->r", w @ distances, w)
    pairs = w.sum(axis=1) ** 2 - np.square(w).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(pairs > 0, total / pairs, np.nan))


def resampled(
    statistic: Callable[[Float[np.ndarray, "R N"]], Float[np.ndarray, " R"]],
    n: int,
    generator: np.random.Generator,
    draws: int,
) -> Float[np.ndarray, " R"]:
    """Give a statistic of how often each of n pictures counts, over `draws` resamples of them."""
    step = max(1, _BLOCK // max(n, 1))
    found = []
    for start in range(0, draws, step):
        size = min(step, draws - start)
        drawn = generator.multinomial(n, np.full(n, 1 / n), size=size)
        found.append(statistic(drawn.astype(np.float64)))
    return np.concatenate(found)


def quantile_draws(
    values: Float[np.ndarray, " N"],
    share: float,
    generator: np.random.Generator,
    draws: int,
) -> Float[np.ndarray, " R"]:
    """Give a quantile of `draws` resamples of the values."""
    step = max(1, _BLOCK // max(len(values), 1))
    found = []
    for start in range(0, draws, step):
        size = min(step, draws - start), len(values)
        found.append(np.quantile(values[generator.integers(0, len(values), size)], share, axis=1))
    return np.concatenate(found)
