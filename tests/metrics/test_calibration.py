"""Expected calibration error: by hand, and cells against every picture for itself."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cliplab.metrics.calibration import (
    COLDEST,
    HOTTEST,
    bin_of,
    calibration_error,
    cells,
    fit_temperature,
    reliability,
    tempered,
)

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
    assert len(gathered.counts) < 2 * 15 * 16 + 1
    place = 2 * bin_of(confidence, 15 * 16) + correct
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


def told(n: int, n_classes: int, seed: int, sharp: float) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities `sharp` times as sure as they should be, and labels."""
    generator = np.random.default_rng(seed)
    honest = generator.normal(size=(n, n_classes)) * 2
    shares = np.exp(tempered(honest, 1.0))
    labels = (shares.cumsum(axis=1) < generator.random((n, 1))).sum(axis=1)
    return tempered(honest, 1 / sharp), labels


def test_a_temperature_worked_by_hand():
    # two classes, odds 9 to 1, right in 3 of 4: b log 9 = log 3, so that b = 1/2
    scores = np.log(np.array([[0.9, 0.1]] * 4))
    found = fit_temperature(scores, np.array([0, 0, 0, 1]))
    assert found.value == pytest.approx(2.0)
    assert found.loss_before == pytest.approx(-(3 * np.log(0.9) + np.log(0.1)) / 4)
    assert found.loss_after == pytest.approx(-(3 * np.log(0.75) + np.log(0.25)) / 4)
    assert (found.n, found.at_end) == (4, False)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.integers(20, 300), st.integers(2, 8), st.integers(0, 999), st.floats(0.3, 3))
def test_no_other_temperature_is_likelier(n, n_classes, seed, sharp):
    scores, labels = told(n, n_classes, seed, sharp)
    found = fit_temperature(scores, labels)
    assert found.loss_after <= found.loss_before + 1e-12
    for other in found.value * np.array([0.5, 0.9, 0.99, 1.01, 1.1, 2.0]):
        loss = -tempered(scores, other)[np.arange(n), labels].mean()
        assert loss >= found.loss_after - 1e-9
    hotter = tempered(scores, found.value)
    assert (hotter.argmax(axis=1) == scores.argmax(axis=1)).all()


@pytest.mark.parametrize("sharp", [0.4, 1.0, 2.5])
def test_what_is_too_sure_by_a_factor_is_cooled_by_it(sharp):
    scores, labels = told(20_000, 6, 1, sharp)
    assert fit_temperature(scores, labels).value == pytest.approx(sharp, rel=0.05)


def test_all_right_or_all_alike_has_no_best_temperature():
    scores = np.log(np.array([[0.9, 0.1], [0.2, 0.8]]))
    right = fit_temperature(scores, np.array([0, 1]))
    assert (right.value, right.at_end) == (pytest.approx(COLDEST), True)
    wrong = fit_temperature(scores, np.array([1, 0]))
    assert (wrong.value, wrong.at_end) == (pytest.approx(HOTTEST), True)
    alike = fit_temperature(np.log(np.full((3, 2), 0.5)), np.array([0, 1, 1]))
    assert (alike.value, alike.at_end) == (1.0, False)


def test_a_label_that_was_no_candidate_is_left_out():
    scores = np.array([[np.log(0.9), np.log(0.1), -np.inf]] * 5)
    found = fit_temperature(scores, np.array([0, 0, 0, 1, 2]))
    assert found.value == pytest.approx(2.0)
    assert found.n == 4
    assert fit_temperature(scores, np.full(5, 2)) is None
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, dtype=int)) is None
