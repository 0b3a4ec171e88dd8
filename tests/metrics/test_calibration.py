"""Expected calibration error: by hand, and cells against every picture for itself."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cliplab.metrics.calibration import bin_of, calibration_error, cells, reliability

CONFIDENCE = np.array([0.95, 0.85, 0.92, 0.55, 0.52])
CORRECT = np.array([True, True, False, False, True])


def ece(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> float:
    counts, gaps = cells(confidence, correct, bins)
    return float(calibration_error(counts[None, :], gaps)[0])


def plain(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> float:
    """Guo's definition, bin by bin."""
    edges = np.linspace(0, 1, bins + 1)
    total = 0.0
    for low, high in pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            gap = correct[inside].mean() - confidence[inside].mean()
            total += inside.mean() * abs(gap)
    return total


def test_worked_by_hand_in_ten_bins():
    # (0.9, 1]: 2 of 5, accuracy .5, confidence .935
    # (0.8, 0.9]: 1, 1 - .85; (0.5, 0.6]: 2, .5, .535
    expected = (2 * 0.435 + 0.15 + 2 * 0.035) / 5
    assert ece(CONFIDENCE, CORRECT, bins=10) == pytest.approx(expected)


def test_bins_are_open_below_and_closed_above():
    assert bin_of(np.array([0.0, 0.1, 0.25, 0.26, 1.0]), 4).tolist() == [0, 0, 0, 1, 3]


@pytest.mark.parametrize("bad", [-0.1, 1.1, np.nan])
def test_what_is_no_probability_is_refused(bad):
    with pytest.raises(ValueError, match=r"0\.\.1"):
        bin_of(np.array([0.5, bad]))


@settings(derandomize=True, deadline=None)
@given(st.integers(1, 300), st.integers(0, 10_000))
def test_cells_change_nothing_in_the_value_nor_does_order(n, seed):
    generator = np.random.default_rng(seed)
    confidence, correct = generator.random(n), generator.random(n) < 0.6
    found = ece(confidence, correct)
    assert found == pytest.approx(plain(confidence, correct), abs=1e-12)
    rows = generator.permutation(n)
    assert ece(confidence[rows], correct[rows]) == pytest.approx(found, abs=1e-12)


def test_cells_change_next_to_nothing_in_a_resample():
    generator = np.random.default_rng(0)
    confidence, correct = generator.random(5000), generator.random(5000) < 0.6
    gathered = cells(confidence, correct)
    assert len(gathered.counts) < 2 * 15 * 64 + 1
    place = 2 * bin_of(confidence, 15 * 64) + correct
    order = {cell: i for i, cell in enumerate(np.unique(place))}
    for _ in range(20):
        rows = generator.integers(0, 5000, 5000)
        drawn = np.bincount([order[cell] for cell in place[rows]], minlength=len(order))
        found = calibration_error(drawn[None, :], gathered.gaps)[0]
        assert found == pytest.approx(plain(confidence[rows], correct[rows]), abs=1e-4)


def test_sure_and_right_is_calibrated_sure_and_wrong_is_not():
    assert ece(np.ones(7), np.ones(7, dtype=bool)) == 0
    assert ece(np.ones(7), np.zeros(7, dtype=bool)) == 1


def test_reliability_of_an_empty_bin_is_unknown():
    found = reliability(CONFIDENCE, CORRECT, bins=10)
    assert found.n.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 1, 2]
    assert found.confidence[9] == pytest.approx(0.935)
    assert found.accuracy[[5, 8, 9]].tolist() == [0.5, 1.0, 0.5]
    assert np.isnan(found.accuracy[0])
    assert np.isnan(found.confidence[0])
