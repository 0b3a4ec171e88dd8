"""The nearest of many as the whole matrix has it, and what counts as a copy."""

from __future__ import annotations

import numpy as np
import pytest

from cliplab.metrics import copies
from cliplab.metrics.copies import (
    Nearest,
    as_rows,
    averaged,
    feature_distances,
    moved,
    pixel_distances,
)


def pictures(n: int, side: int = 12, channels: int = 1, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (n, channels, side, side)).astype(np.uint8)


@pytest.mark.parametrize("block", [1, 500, 10**7])
def test_the_nearest_of_all_that_were_seen(monkeypatch, block):
    monkeypatch.setattr(copies, "_BLOCK", block)
    generator = np.random.default_rng(0)
    queries, vectors = generator.normal(size=(7, 3, 5)), generator.normal(size=(40, 5))
    search = Nearest(queries)
    places = np.arange(40) + 100
    for block_of in np.split(np.arange(40), (11, 30, 39)):
        search.see(vectors[block_of], places[block_of])
    distances = np.linalg.norm(queries[:, :, None] - vectors, axis=3).min(axis=1)
    assert search.places.tolist() == (distances.argmin(axis=1) + 100).tolist()


def test_the_first_of_equals_is_kept():
    search = Nearest(np.zeros((1, 1, 2)))
    assert search.places.tolist() == [-1]
    search.see(np.ones((2, 2)), np.array([4, 5]))
    search.see(np.ones((2, 2)), np.array([1, 2]))
    assert search.places.tolist() == [4]
    search.see(np.empty((0, 2)), np.empty(0, dtype=np.int64))
    assert search.places.tolist() == [4]


def test_a_copy_is_no_distance_away_even_if_it_was_moved():
    original = np.full((1, 1, 28, 28), 255, dtype=np.uint8)
    original[:, :, 8:20, 8:20] = pictures(1, 12)
    for down in (-1, 0, 1):
        copy = np.roll(original, (down, 1), axis=(2, 3))
        assert pixel_distances(copy, original).tolist() == [0]
    far = np.roll(original, 2, axis=2)
    assert pixel_distances(far, original)[0] > 0.1


def test_distances_are_those_of_values():
    black, white = np.zeros((2, 1, 8, 8), np.uint8), np.full((2, 1, 8, 8), 255, np.uint8)
    assert pixel_distances(black, white).tolist() == [1, 1]
    half = white.copy()
    half[:, :, :4] = 0
    # moving by one brings one more row of eight
    assert pixel_distances(half, white) == pytest.approx(np.sqrt([3 / 8, 3 / 8]))
    assert feature_distances(np.zeros((1, 2)), np.array([[3.0, 4.0]])).tolist() == [5]


def test_moves_are_those_by_a_pixel():
    one = pictures(2, 6)
    found = (moved(one) * 255).round().reshape(2, 9, 6, 6)
    assert (found[:, 4] == one[:, 0]).all()
    assert (found[:, 0, 1:, 1:] == one[:, 0, :-1, :-1]).all()
    assert (found[:, 0, 0, 1:] == one[:, 0, 0, :-1]).all()  # the edge is repeated
    assert moved(pictures(0, 6)).shape == (0, 9, 36)


def test_large_pictures_are_averaged():
    large = np.repeat(np.repeat(pictures(2, 32, 3), 3, axis=2), 3, axis=3)
    assert averaged(large).shape == (2, 3, 32, 32)
    assert averaged(large) == pytest.approx(averaged(large[:, :, ::3, ::3]))
    assert averaged(pictures(1, 50)).shape == (1, 1, 25, 25)
    assert averaged(pictures(1, 65)).shape == (1, 1, 22, 22)
    assert as_rows(large).shape == (2, 3 * 32 * 32)
    assert as_rows(large).max() <= 1


def test_blocks_change_no_distance(monkeypatch):
    a, b = pictures(9), pictures(9, seed=1)
    whole = pixel_distances(a, b)
    monkeypatch.setattr(copies, "_BLOCK", 1)
    assert pixel_distances(a, b).tolist() == whole.tolist()
