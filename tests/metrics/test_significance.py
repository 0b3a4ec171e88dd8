"""McNemar's test: by hand, against SciPy's binomial test, and as often wrong as it says."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from cliplab.metrics.significance import mcnemar


def pair(a_alone: int, b_alone: int, both: int = 3) -> tuple[np.ndarray, np.ndarray]:
    a = np.r_[np.ones(a_alone), np.zeros(b_alone), np.ones(both)].astype(bool)
    b = np.r_[np.zeros(a_alone), np.ones(b_alone), np.ones(both)].astype(bool)
    return a, b


def test_worked_by_hand():
    # n = 6, k = 1: P(X <= 1) = (1 + 6) / 64, P(X = 1) = 6 / 64
    found = mcnemar(*pair(5, 1))
    assert found[:2] == (5, 1)
    assert found.exact == pytest.approx(14 / 64)
    assert found.mid_p == pytest.approx(8 / 64)


def test_of_equal_counts_the_mid_p_leaves_half_the_middle_out():
    # n = 4, k = 2: P(X = 2) = 6 / 16
    found = mcnemar(*pair(2, 2))
    assert found.exact == 1.0
    assert found.mid_p == pytest.approx(1 - 3 / 16)


def test_without_a_difference_there_is_no_evidence():
    assert mcnemar(*pair(0, 0)) == (0, 0, 1.0, 1.0)
    assert mcnemar(np.zeros(0, dtype=bool), np.zeros(0, dtype=bool)).exact == 1.0


@settings(derandomize=True, deadline=None)
@given(st.integers(0, 300), st.integers(0, 300))
def test_exact_is_the_binomial_test_and_mid_p_lies_below(a_alone, b_alone):
    found = mcnemar(*pair(a_alone, b_alone))
    n = a_alone + b_alone
    if n:
        assert found.exact == pytest.approx(binomtest(a_alone, n).pvalue, abs=1e-9)
        at = comb(n, a_alone) / 2**n
        half = at / 2 if a_alone == b_alone else at
        assert found.exact - found.mid_p == pytest.approx(half, abs=1e-9)
    assert 0 <= found.mid_p <= found.exact <= 1
    assert mcnemar(*pair(b_alone, a_alone))[2:] == found[2:]


def test_false_alarms_are_as_rare_as_it_says():
    generator = np.random.default_rng(0)
    exact, mid_p = [], []
    for _ in range(2000):
        a, b = generator.random(120) < 0.7, generator.random(120) < 0.7
        found = mcnemar(a, b)
        exact.append(found.exact < 0.05)
        mid_p.append(found.mid_p < 0.05)
    assert np.mean(exact) < np.mean(mid_p) < 0.06
    assert np.mean(mid_p) > 0.03


def test_it_wants_the_same_pictures():
    with pytest.raises(ValueError, match="3 and 2 pictures"):
        mcnemar(np.ones(3, dtype=bool), np.ones(2, dtype=bool))
