"""Distances of sets against what is known in closed form, and what fingers can count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from cliplab.metrics import distribution
from cliplab.metrics.distribution import (
    distances_within,
    frechet_distance,
    frechet_measure,
    kernel_distance,
    manifolds,
    quantile_draws,
    resampled,
    spread,
    squared_distances,
)


def normal(n: int, width: int = 6, seed: int = 0, shift: float = 0.0, scale: float = 1.0):
    return np.random.default_rng(seed).normal(shift, scale, (n, width))


def with_moments(mean: np.ndarray, covariance: np.ndarray, n: int = 40, seed: int = 0):
    """Features of exactly this mean and (unbiased) covariance."""
    x = normal(n, len(mean), seed)
    x -= x.mean(axis=0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T
    return x @ np.linalg.cholesky(covariance).T + mean


# ------------------------------------------------------------------------------- Fréchet


def test_gaussians_with_a_common_basis_have_a_closed_form():
    means = np.array([0.0, 1, 2]), np.array([1.0, 1, 0])
    variances = np.array([1.0, 4, 9]), np.array([4.0, 4, 1])
    a, b = (
        with_moments(mean, np.diag(variance), seed=seed)
        for seed, (mean, variance) in enumerate(zip(means, variances, strict=True))
    )
    # |μa - μb|² + Σ (σa - σb)²
    assert frechet_distance(a, b) == pytest.approx(5 + 1 + 0 + 4)


def test_any_gaussians_are_as_the_root_of_the_product_has_them():
    a, b = normal(60) @ normal(6, seed=1), normal(50, seed=2) @ normal(6, seed=3) + 0.3
    covariances = np.cov(a.T), np.cov(b.T)
    root = sqrtm(covariances[0] @ covariances[1]).real
    apart = np.square(a.mean(axis=0) - b.mean(axis=0)).sum()
    expected = apart + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * np.trace(root)
    assert frechet_distance(a, b) == pytest.approx(expected)


def test_fewer_pictures_than_features_are_exact():
    """In a space of their own, the distance is that of the coordinates there."""
    a, b = normal(12, 3), normal(9, 3, seed=1, shift=1.0)
    basis = np.linalg.qr(normal(200, 3, seed=2))[0]
    assert frechet_distance(a @ basis.T, b @ basis.T) == pytest.approx(frechet_distance(a, b))


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 12), st.integers(2, 12), st.integers(1, 8), st.integers(0, 99))
def test_it_is_a_distance(n, m, width, seed):
    a, b = normal(n, width, seed), normal(m, width, seed + 1, shift=0.5)
    found = frechet_distance(a, b)
    assert found >= 0
    assert found == pytest.approx(frechet_distance(b, a), abs=1e-9)
    assert found == pytest.approx(frechet_distance(a + 3, b + 3), rel=1e-6, abs=1e-6)
    assert found * 4 == pytest.approx(frechet_distance(2 * a, 2 * b), rel=1e-6, abs=1e-6)
    assert frechet_distance(a, a[::-1]) == pytest.approx(0, abs=1e-9)


def test_its_interval_is_as_wide_as_other_draws_move_it():
    truth = [
        frechet_distance(normal(300, seed=2 * s), normal(300, seed=2 * s + 1, shift=0.5))
        for s in range(40)
    ]
    found = frechet_measure(normal(300, seed=900), normal(300, seed=901, shift=0.5), seed=0)
    assert found.low < found.value < found.high
    half = (found.high - found.low) / 2
    assert 0.6 < half / (1.96 * np.std(truth)) < 1.6
    assert found.low < np.mean(truth) < found.high


def test_too_few_are_not_scored():
    with pytest.raises(ValueError, match="two pictures"):
        frechet_distance(normal(1), normal(5))
    assert frechet_measure(normal(1), normal(5), seed=0).value is None
    assert frechet_measure(normal(3), normal(5), seed=0).low is None
    assert kernel_distance(normal(1), normal(5), seed=0).value is None


# ------------------------------------------------------------------------------- kernel distance


def by_hand(a: np.ndarray, b: np.ndarray) -> float:
    """The mean over pairs of different pictures, one pair after the other."""

    def kernel(x, y):
        return (x @ y / len(x) + 1) ** 3

    def within(x):
        pairs = [kernel(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j]
        return np.mean(pairs)

    between = np.mean([kernel(x, y) for x in a for y in b])
    return within(a) + within(b) - 2 * between


@pytest.mark.parametrize("groups", [1, 3, 100])
@pytest.mark.parametrize("block", [1, 10**6])
def test_the_kernel_distance_is_the_mean_over_pairs(monkeypatch, groups, block):
    monkeypatch.setattr(distribution, "_BLOCK", block)
    a, b = normal(8, 3), normal(6, 3, seed=1, shift=1.0)
    found = kernel_distance(a, b, seed=0, groups=groups)
    assert found.value == pytest.approx(by_hand(a, b))


def test_equal_sets_are_about_nothing_apart():
    found = [
        kernel_distance(normal(80, seed=2 * s), normal(80, seed=2 * s + 1), seed=s, draws=200)
        for s in range(20)
    ]
    values = np.array([one.value for one in found])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))  # unbiased
    assert (values < 0).any()
    assert sum(one.low <= 0 <= one.high for one in found) >= 16


def test_other_sets_are_apart():
    near, far = (
        kernel_distance(normal(150), normal(150, seed=1, shift=shift), seed=0)
        for shift in (0.2, 0.8)
    )
    assert 0 < near.low < near.value < near.high < far.low
    assert kernel_distance(normal(150), normal(150, seed=1, shift=0.2), seed=0) == near


# ------------------------------------------------------------------------------- manifolds

LINE = np.array([[0.0], [1.0], [2.0], [3.0]])


def test_balls_are_counted_on_the_fingers():
    """With k = 1, the balls of 0, 1, 2, 3 reach 1 to either side."""
    drawn = np.array([[0.5], [2.0], [9.0], [10.0]])
    found = manifolds(LINE, drawn, k=1, k_dense=1)
    assert found.precise.tolist() == [True, True, False, False]
    assert found.density.tolist() == [2, 3, 0, 0]
    assert found.covered.tolist() == [True, True, True, True]
    # the balls of 0.5 and 2 reach 1.5, those of 9 and 10 reach 1
    assert found.recalled.tolist() == [True, True, True, True]
    assert manifolds(LINE, drawn[2:], k=1, k_dense=1).recalled.tolist() == [False] * 4


def test_of_few_pictures_the_farthest_is_the_kth():
    assert manifolds(LINE[:2], LINE[:2] + 0.5).precise.all()
    with pytest.raises(ValueError, match="two pictures"):
        manifolds(LINE[:1], LINE)


@settings(max_examples=25, deadline=None)
@given(st.integers(7, 20), st.integers(0, 99))
def test_a_set_lies_within_itself(n, seed):
    x = normal(n, 4, seed)
    found = manifolds(x, x[::-1].copy())
    assert found.precise.all()
    assert found.recalled.all()
    assert found.covered.all()
    # its own ball, and those of the pictures that it is among the 5 nearest of: 6 n in all
    assert found.density.mean() == pytest.approx(6 / 5)


@settings(max_examples=25, deadline=None)
@given(st.integers(4, 15), st.integers(4, 15), st.integers(0, 99))
def test_precision_and_recall_change_places(n, m, seed):
    a, b = normal(n, 3, seed), normal(m, 3, seed + 1, shift=0.7)
    one, other = manifolds(a, b), manifolds(b, a)
    assert (one.precise == other.recalled).all()
    assert (one.recalled == other.precise).all()
    moved = manifolds(
        a @ np.linalg.qr(normal(3, 3, seed))[0] + 5, b @ np.linalg.qr(normal(3, 3, seed))[0] + 5
    )
    assert moved.precise.tolist() == one.precise.tolist()


def test_blocks_change_nothing(monkeypatch):
    a, b = normal(30), normal(25, seed=1, shift=0.5)
    whole = manifolds(a, b)
    monkeypatch.setattr(distribution, "_BLOCK", 60)
    for one, other in zip(whole, manifolds(a, b), strict=True):
        assert one.tolist() == other.tolist()


def test_one_drawing_over_and_over_is_precise_and_reaches_nothing():
    real = normal(60)
    found = manifolds(real, np.repeat(real[:1], 60, axis=0))
    assert found.precise.all()
    assert found.recalled.sum() == 1
    assert found.covered.mean() < 0.4


# ------------------------------------------------------------------------------- diversity


def test_distances_are_those_of_pairs():
    a, b = normal(5), normal(4, seed=1)
    expected = np.square(a[:, None] - b).sum(axis=2)
    assert squared_distances(a, b) == pytest.approx(expected)
    within = distances_within(a)
    assert within == pytest.approx(np.sqrt(np.square(a[:, None] - a).sum(axis=2)))
    assert (np.diag(within) == 0).all()


def test_the_spread_is_the_mean_over_different_pictures():
    distances = distances_within(LINE)
    assert spread(distances).tolist() == pytest.approx([(1 + 2 + 3 + 1 + 2 + 1) / 6])
    weights = np.array([[2.0, 1, 1, 0], [4, 0, 0, 0]])
    # 0 twice: pairs 0-1 and 0-2 count double, 0 with itself does not
    assert spread(distances, weights)[0] == pytest.approx((2 * 1 + 2 * 2 + 1) / 5)
    assert np.isnan(spread(distances, weights)[1])


def test_resamples_do_not_lie_nearer_together():
    distances = distances_within(normal(40))
    draws = resampled(lambda w: spread(distances, w), 40, np.random.default_rng(0), 2000)
    assert draws.mean() == pytest.approx(spread(distances)[0], rel=0.01)


def test_quantiles_of_resamples(monkeypatch):
    values = normal(400, 1)[:, 0]
    draws = quantile_draws(values, 0.5, np.random.default_rng(0), 500)
    assert len(draws) == 500
    assert draws.mean() == pytest.approx(np.median(values), abs=0.05)
    monkeypatch.setattr(distribution, "_BLOCK", 1_000)
    assert len(quantile_draws(values, 0.5, np.random.default_rng(0), 7)) == 7
