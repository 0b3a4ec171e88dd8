"""The held-out part and the search, against cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from cliplab.classifiers.protocols import SPANS, STARTS, c_at
from cliplab.classifiers.selection import halving_search, stratified_holdout


def test_the_grid_is_the_papers():
    assert len(STARTS) == 7
    assert [c_at(p) for p in STARTS] == pytest.approx([1e-6, 1e-4, 1e-2, 1, 1e2, 1e4, 1e6])
    assert c_at(44) == pytest.approx(0.316, abs=1e-3)  # the README's value lies on it


@pytest.mark.parametrize("peak", range(97))
def test_a_single_peak_is_found_in_fifteen_probes(peak):
    probed = []

    def score(position):
        probed.append(position)
        return (-abs(position - peak),)

    assert halving_search(score, 97, STARTS, SPANS) == peak
    assert len(probed) == len(set(probed)) <= 15


def test_of_equals_the_lower_position_wins_unless_something_breaks_the_tie():
    assert halving_search(lambda _p: (1.0,), 97, STARTS, SPANS) == 0
    assert halving_search(lambda p: (1.0, -abs(p - 50)), 97, STARTS, SPANS) == 50


def test_held_out_parts_are_stratified_seeded_and_leave_one_of_each_class():
    labels = np.array([0] * 10 + [1] * 5 + [2])
    kept, held = stratified_holdout(labels, 0.2, seed=3)
    assert sorted([*kept, *held]) == list(range(16))
    assert np.bincount(labels[held], minlength=3).tolist() == [2, 1, 0]
    again = stratified_holdout(labels, 0.2, seed=3)
    assert (again[1] == held).all()
    others = [stratified_holdout(labels, 0.2, seed=s)[1].tolist() for s in range(8)]
    assert any(other != held.tolist() for other in others)
    everything = stratified_holdout(labels, 1.0, seed=0)[0]
    assert labels[everything].tolist() == [0, 1, 2]
