"""Wilson's interval against SciPy's, bootstraps against drawing pictures one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cliplab.metrics.intervals import (
    DRAWS,
    bootstrap,
    mean_of_repeats,
    paired_difference,
    percentiles,
    proportion,
    resampled_means,
    wilson,
)


def share(counts: np.ndarray) -> np.ndarray:
    """Accuracy where the first cell holds the pictures that are right."""
    return counts[:, 0] / counts.sum(axis=1)


def quantiles_one_by_one(statistic, n: int, draws: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    picked = generator.integers(0, n, size=(draws, n))
    return np.quantile(statistic(picked), [0.025, 0.975])


def test_wilson_worked_by_hand():
    # z² = 3.8415; centre (0.8 + 0.19207) / 1.38415, half sqrt(0.016 + 0.0096) * 1.96 / 1.38415
    low, high = wilson(8, 10)
    assert (low, high) == pytest.approx((0.49016, 0.94332), abs=1e-5)


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_that_of_scipy(counts):
    from scipy.stats import binomtest

    correct, n = counts
    reference = binomtest(correct, n).proportion_ci(method="wilson")
    assert wilson(correct, n) == pytest.approx((reference.low, reference.high), abs=1e-9)
    assert 0 <= wilson(correct, n)[0] <= correct / n <= wilson(correct, n)[1] <= 1


def test_wilson_takes_arrays_and_none_of_none_is_unknown():
    low, high = wilson(np.array([0, 5, 0]), np.array([10, 5, 0]))
    assert low[0] == 0
    assert high[1] == 1
    assert np.isnan([low[2], high[2]]).all()


@pytest.mark.parametrize(("correct", "n"), [(3, 2), (-1, 2)])
def test_wilson_refuses_impossible_counts(correct, n):
    with pytest.raises(ValueError, match="0 <= correct <= n"):
        wilson(correct, n)


def test_proportion_of_nothing_is_not_scored():
    assert proportion(np.zeros(0, dtype=bool)).value is None
    assert proportion(np.array([True, False])).value == 0.5
    assert proportion(np.zeros(4, dtype=bool)).value == 0.0


def test_bootstrap_is_fixed_by_its_seed():
    counts = np.array([70, 30])
    same = [bootstrap(share, counts, seed=3, draws=500) for _ in range(2)]
    assert same[0] == same[1]
    assert bootstrap(share, counts, seed=4, draws=500) != same[0]


def test_bootstrap_in_blocks_is_that_in_one(monkeypatch):
    counts = np.array([70, 30])
    whole = bootstrap(share, counts, seed=3, draws=500)
    monkeypatch.setattr("cliplab.metrics.intervals._BLOCK", 7)
    assert bootstrap(share, counts, seed=3, draws=500) == whole


def test_bootstrap_agrees_with_drawing_pictures_one_by_one():
    right = np.arange(200) < 150
    found = bootstrap(share, np.array([150, 50]), seed=0, draws=20_000)
    reference = quantiles_one_by_one(lambda rows: right[rows].mean(axis=1), 200, 20_000, seed=1)
    assert found.value == 0.75
    assert found[1:] == pytest.approx(reference, abs=0.006)


def test_bootstrap_covers_the_truth_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    inside = 0
    for seed, right in enumerate(generator.binomial(300, 0.7, size=300)):
        _, low, high = bootstrap(share, np.array([right, 300 - right]), seed=seed, draws=500)
        inside += low <= 0.7 <= high
    assert 0.90 <= inside / 300 <= 0.985


def test_bootstrap_of_nothing_or_of_the_undefined_is_not_scored():
    assert bootstrap(share, np.array([0, 0]), seed=0).value is None
    nowhere = bootstrap(lambda counts: np.full(len(counts), np.nan), np.array([2]), seed=0)
    assert nowhere == (None, None, None)


def test_paired_difference_worked_by_hand():
    a = np.array([True, True, True, False])
    b = np.array([True, False, False, True])
    found = paired_difference(a, b, seed=0)
    assert found.value == 0.25  # two alone right against one, of four
    assert found.low < 0 < found.high
    assert paired_difference(b, a, seed=0).value == -0.25


def test_paired_difference_has_the_distribution_of_resampled_pictures():
    generator = np.random.default_rng(0)
    a, b = generator.random(400) < 0.8, generator.random(400) < 0.7
    gap = a.astype(float) - b
    found = paired_difference(a, b, seed=0, draws=20_000)
    reference = quantiles_one_by_one(lambda rows: gap[rows].mean(axis=1), 400, 20_000, seed=1)
    assert found.value == pytest.approx(gap.mean())
    assert found[1:] == pytest.approx(reference, abs=0.006)


def test_paired_difference_of_equals_is_zero_without_doubt():
    a = np.array([True, False, True])
    assert paired_difference(a, a, seed=0) == (0.0, 0.0, 0.0)


def test_paired_difference_wants_the_same_pictures():
    with pytest.raises(ValueError, match="3 and 2 pictures"):
        paired_difference(np.ones(3, dtype=bool), np.ones(2, dtype=bool), seed=0)
    assert paired_difference(np.ones(0, dtype=bool), np.ones(0, dtype=bool), seed=0).value is None


def test_resampled_means_by_their_theory():
    values = np.random.default_rng(0).normal(size=(400, 2)) * (1.0, 3.0) + (5.0, -1.0)
    found = resampled_means(values, seed=1, draws=4000)
    np.testing.assert_allclose(found.mean(axis=0), values.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(found.std(axis=0), values.std(axis=0) / 20, rtol=0.05)
    np.testing.assert_array_equal(found, resampled_means(values, seed=1, draws=4000))


def test_resampled_means_are_of_the_same_pictures_for_every_measure():
    values = np.random.default_rng(0).normal(size=(50, 1)) @ np.array([[1.0, 2.0]])
    found = resampled_means(values, seed=0, draws=20)
    np.testing.assert_allclose(found[:, 1], 2 * found[:, 0])


def test_percentiles_by_hand():
    measure = percentiles(2.0, np.arange(101.0), confidence=0.9)
    np.testing.assert_allclose(measure, (2.0, 5.0, 95.0))
    assert percentiles(float("nan"), np.arange(3.0)).value is None


def test_mean_of_repeats_worked_by_hand():
    # mean 2, std 1, t(2) = 4.3027: 2 ± 4.3027 / sqrt(3)
    found = mean_of_repeats(np.array([1.0, 2.0, 3.0]))
    assert found == pytest.approx((2.0, 2 - 2.48414, 2 + 2.48414), abs=1e-4)
    assert mean_of_repeats(np.array([0.5])) == (0.5, None, None)
    assert mean_of_repeats(np.zeros(0)).value is None


def test_the_usual_number_of_draws_is_the_stated_one():
    drawn = []
    bootstrap(lambda counts: drawn.append(len(counts)) or share(counts), np.array([7, 3]), seed=0)
    assert sum(drawn[1:]) == DRAWS == 10_000
