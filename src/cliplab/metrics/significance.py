"""Whether two classifiers differ on the same pictures, by the pictures that only one gets right."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool


class McNemar(NamedTuple):
    """Pictures that one classifier alone got right, and how likely so uneven a count is by luck."""

    a_alone: int  # pictures that a got right and b did not
    b_alone: int  # the other way round
    exact: float  # two-sided p-value of the exact binomial test, in 0..1
    mid_p: float  # the same with half the weight on the count observed: less conservative


def mcnemar(correct_a: Bool[np.ndarray, " _"], correct_b: Bool[np.ndarray, " _"]) -> McNemar:
    """McNemar's test of equal accuracy, in its exact and its mid-p form.

    Of the n = b + c pictures that one of the two alone got right, either is as likely to have got
    each if they are equally good, so that k = min(b, c) is binomial(n, 1/2):

        exact = min(1, 2 P(X <= k))
        mid-p = 2 P(X <= k) - P(X = k);  1 - P(X = k) / 2 where b = c

    McNemar 1947; Fagerland, Lydersen and Laake 2013, "The McNemar test for binary matched-pairs
    data: mid-p and asymptotic are better than exact conditional". They advise the mid-p, whose
    rate of false alarms lies closer to what it says.

    Parameters
    ----------
    correct_a, correct_b
        (M,) whether each picture was right; the same pictures in the same order. No picture that
        sets them apart gives 1.

    Examples
    --------
    >>> a = np.array([True] * 8 + [False])
    >>> found = mcnemar(a, ~a)
    >>> found.a_alone, found.b_alone, round(found.exact, 4), round(found.mid_p, 4)
    (8, 1, 0.0391, 0.0215)
    """
    from scipy.stats import binom

    if len(correct_a) != len(correct_b):
        raise ValueError(f"{len(correct_a)} and {len(correct_b)} pictures are not the same ones.")
    a_alone, b_alone = int((correct_a & ~correct_b).sum()), int((correct_b & ~correct_a).sum())
    n, k = a_alone + b_alone, min(a_alone, b_alone)
    if n == 0:
        return McNemar(0, 0, 1.0, 1.0)
    below, at = float(binom.cdf(k, n, 0.5)), float(binom.pmf(k, n, 0.5))
    mid_p = 1 - at / 2 if a_alone == b_alone else 2 * below - at
    return McNemar(a_alone, b_alone, min(1.0, 2 * below), mid_p)
