"""How sure a number is: Wilson's interval for proportions, seeded bootstraps for the rest.

Letters: M scored pictures, K cells of pictures that count alike, R draws.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

from cliplab.nouns import Measure

DRAWS = 10_000
CONFIDENCE = 0.95
_BLOCK = 5_000_000  # resampled counts in memory at once


def wilson(
    correct: int | np.ndarray, n: int | np.ndarray, confidence: float = CONFIDENCE
) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's score interval of a proportion (Wilson 1927; Brown, Cai, DasGupta 2001, section 3).

        (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n),  p = correct / n

    Parameters
    ----------
    correct, n
        Counts, 0 <= correct <= n; arrays broadcast. n = 0 gives (nan, nan).
    confidence
        In 0..1.

    Returns
    -------
    tuple
        Low and high ends, in 0..1.

    Examples
    --------
    >>> low, high = wilson(8, 10)
    >>> round(float(low), 3), round(float(high), 3)
    (0.49, 0.943)
    """
    from scipy.stats import norm

    correct, n = np.asarray(correct, dtype=np.float64), np.asarray(n, dtype=np.float64)
    if ((correct < 0) | (correct > n)).any():
        raise ValueError("Wilson's interval wants 0 <= correct <= n.")
    z = norm.ppf(0.5 + confidence / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        p = correct / n
        middle = p + z**2 / (2 * n)
        half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
        low, high = (middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)
    # none or all correct: exact, where the formula leaves a rounding error
    low, high = np.where(correct == 0, 0 * p, low), np.where(correct == n, 0 * p + 1, high)
    return np.asarray(np.clip(low, 0, 1)), np.asarray(np.clip(high, 0, 1))


def proportion(correct: Bool[np.ndarray, " M"]) -> Measure:
    """Share of the pictures that are right, with Wilson's interval; not scored if M is 0."""
    if not len(correct):
        return Measure(None)
    low, high = wilson(int(correct.sum()), len(correct))
    return Measure(float(correct.mean()), float(low), float(high))


def mean_of_repeats(values: Float[np.ndarray, " R"], confidence: float = CONFIDENCE) -> Measure:
    """Mean of independent repeats, with Student's t-interval of that mean; no interval of one.

        mean ± t(R - 1) * std / sqrt(R)

    It tells how much other draws would move the mean, not how much other test pictures would.
    """
    from scipy.stats import t

    if not len(values):
        return Measure(None)
    mean = float(values.mean())
    if len(values) == 1:
        return Measure(mean)
    half = t.ppf(0.5 + confidence / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return Measure(mean, mean - float(half), mean + float(half))


def bootstrap(
    statistic: Callable[[Float[np.ndarray, "R K"]], Float[np.ndarray, " R"]],
    counts: Int[np.ndarray, " K"],
    *,
    seed: int,
    draws: int = DRAWS,
    confidence: float = CONFIDENCE,
) -> Measure:
    """Value of a statistic, with its percentile interval over resampled pictures.

    Efron and Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3. Pictures that the
    statistic cannot tell apart are one cell, and a resample is how many were drawn of each cell:
    one multinomial draw has the same distribution as M pictures drawn one by one, at a cost that
    does not grow with M.

    Parameters
    ----------
    statistic
        Pictures of each cell (R, K) float64 → values (R,); NaN where it is undefined.
    counts
        (K,) pictures of each cell as observed, M in all; M = 0 is not scored.
    seed
        Same seed, same interval.
    draws
        Resamples R.
    confidence
        In 0..1.
    """
    n = int(counts.sum())
    if n == 0:
        return Measure(None)
    value = float(statistic(counts[None, :].astype(np.float64))[0])
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK // len(counts))
    found = []
    for start in range(0, draws, block):
        drawn = generator.multinomial(n, counts / n, size=min(block, draws - start))
        found.append(statistic(drawn.astype(np.float64)))
    return percentiles(value, np.concatenate(found), confidence)


def resampled_means(
    values: Float[np.ndarray, "M V"], *, seed: int, draws: int = 1_000
) -> Float[np.ndarray, "R V"]:
    """Give the means of V measures over R resamples of the M pictures, the same for all measures.

    What is a function of such means (a ratio, a difference, decibels) then has the interval of
    `percentiles` over that function of the rows.

    Parameters
    ----------
    values
        (M, V), a row a picture, M at least 1.
    seed
        Same seed, same resamples.
    draws
        Resamples R.
    """
    n = len(values)
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK // n)
    found = []
    for start in range(0, draws, block):
        drawn = generator.multinomial(n, np.full(n, 1 / n), size=min(block, draws - start))
        found.append(drawn.astype(np.float64) @ values / n)
    return np.concatenate(found)


def percentiles(
    value: float, draws: Float[np.ndarray, " R"], confidence: float = CONFIDENCE
) -> Measure:
    """Give a value with the interval that its values over resamples cover; NaN: not scored."""
    draws = draws[np.isfinite(draws)]
    if not np.isfinite(value) or not len(draws):
        return Measure(None)
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Measure(value, float(low), float(high))


def paired_difference(
    correct_a: Bool[np.ndarray, " _"],
    correct_b: Bool[np.ndarray, " _"],
    seed: int,
    draws: int = DRAWS,
    confidence: float = CONFIDENCE,
) -> Measure:
    """Accuracy of a minus that of b on the same pictures, with a percentile bootstrap interval.

    Parameters
    ----------
    correct_a, correct_b
        (M,) whether each picture was right; the same pictures in the same order.
    seed
        Same seed, same interval.
    """
    if len(correct_a) != len(correct_b):
        raise ValueError(f"{len(correct_a)} and {len(correct_b)} pictures are not the same ones.")
    a_alone, b_alone = int((correct_a & ~correct_b).sum()), int((correct_b & ~correct_a).sum())
    counts = np.array([a_alone, b_alone, len(correct_a) - a_alone - b_alone])
    return bootstrap(
        lambda drawn: (drawn[:, 0] - drawn[:, 1]) / drawn.sum(axis=1),
        counts,
        seed=seed,
        draws=draws,
        confidence=confidence,
    )
