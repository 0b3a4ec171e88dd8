"""Noise depends on where it falls, and on nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from cliplab.tokenizers import noise
from cliplab.tokenizers.noise import Places, choices, gumbel, places


def _at(pictures, grid=(4, 4), seed=1, step=0):
    return places(torch.tensor(pictures), grid, seed=seed, step=step)


def _mixed_by_hand(value):
    """The mixer of 32-bit numbers, as its source has it."""
    value = value.astype(np.uint32)
    value = (value ^ (value >> np.uint32(16))) * np.uint32(0x7FEB352D)
    value = (value ^ (value >> np.uint32(15))) * np.uint32(0x846CA68B)
    return value ^ (value >> np.uint32(16))


def test_bits_are_those_of_the_mixer():
    numbers = np.random.default_rng(0).integers(0, 1 << 32, 5000)
    bits = noise._signed(torch.from_numpy(numbers))
    assert np.array_equal(bits.numpy().view(np.uint32), numbers)
    noise._mix_in_place(bits)
    assert np.array_equal(bits.numpy().view(np.uint32), _mixed_by_hand(numbers))
    assert np.array_equal(noise._mixed(torch.from_numpy(numbers)), _mixed_by_hand(numbers))


def test_a_number_by_hand():
    """Of picture 3, place 5, code 7, seed 1, step 0."""

    def mixed(value):
        return int(_mixed_by_hand(np.array([value % (1 << 32)]))[0])

    row = mixed(mixed(mixed(mixed(mixed(mixed(1) ^ 0) ^ 3) + 0)) ^ 5)
    bits = mixed(row + 7 * 0x9E3779B9)
    expected = -np.log(-np.log(((bits >> 9) + 0.5) / (1 << 23)))
    assert gumbel(_at([3]), 10, torch.float64)[5, 7].item() == pytest.approx(expected, rel=1e-12)


def test_it_is_made_in_pieces_of_any_size(monkeypatch):
    whole = gumbel(_at(range(9)), 100)
    monkeypatch.setattr(noise, "_NUMBERS_CPU", 700)
    assert torch.equal(whole, gumbel(_at(range(9)), 100))


def test_it_is_gumbels_distribution():
    drawn = gumbel(_at(range(64)), 128, torch.float64).numpy().ravel()
    assert stats.kstest(drawn, "gumbel_r").pvalue > 1e-3
    assert np.isfinite(drawn).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_ends_are_never_reached(dtype):
    ends = noise._uniform(torch.tensor([0, -1], dtype=torch.int32), torch.empty(2, dtype=dtype))
    assert 0 < ends[0] < ends[1] < 1
    assert torch.isfinite(ends.log().neg().log()).all()


def test_neighbours_are_not_correlated():
    drawn = gumbel(_at(range(64)), 128, torch.float64)
    a = drawn - drawn.mean()
    for shifted in (a.roll(1, 0), a.roll(1, 1), a.roll(16, 0)):
        assert abs((a * shifted).mean() / a.var()) < 0.01


def test_cutting_the_batch_or_the_grid_changes_nothing():
    whole = gumbel(_at([3, 7, 11]), 10)
    parts = [gumbel(_at([picture]), 10) for picture in (3, 7, 11)]
    assert torch.equal(whole, torch.cat(parts))
    where = _at([3, 7, 11])
    halves = [
        gumbel(Places(where.pictures[part], where.positions[part], 1, 0), 10)
        for part in (slice(0, 20), slice(20, 48))
    ]
    assert torch.equal(whole, torch.cat(halves))


def test_each_coordinate_changes_it():
    base = gumbel(_at([3]), 10)
    for other in (_at([4]), _at([3], seed=2), _at([3], step=1), _at([3 + (1 << 32)])):
        assert (gumbel(other, 10) != base).float().mean() > 0.99
    assert len(base.unique()) == base.numel()


def test_choices_are_even_and_depend_on_the_step():
    def drawn(step):
        return choices(10_000, 7, seed=1, step=step, device=torch.device("cpu"))

    counts = drawn(0).bincount(minlength=7)
    assert len(counts) == 7
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3
    assert torch.equal(drawn(0), drawn(0))
    assert (drawn(0) != drawn(1)).float().mean() > 0.5
