"""Neighbours as the whole matrix has them, whatever the block; how far out is far."""

from __future__ import annotations

import numpy as np
import pytest

from cliplab.metrics.neighbours import nearest, outlyingness


def unit(n: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, 6)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("block", [1, 70, 10**6])
def test_neighbours_are_those_of_the_whole_matrix(block):
    vectors, groups = unit(30), np.arange(30) % 3
    counted = []
    found = nearest(vectors, groups, 4, block=block, advance=counted.append)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    assert (found.others == np.argsort(-cosines, axis=1)[:, :4]).all()
    assert found.cosine == pytest.approx(np.sort(cosines)[:, ::-1][:, :4], abs=1e-6)
    cosines[groups[:, None] == groups] = -np.inf
    assert (found.across == cosines.argmax(axis=1)).all()
    assert found.across_cosine == pytest.approx(cosines.max(axis=1), abs=1e-6)
    assert sum(counted) == 30


def test_one_group_and_few_pictures():
    found = nearest(unit(3), np.zeros(3, dtype=np.int64), 10)
    assert found.others.shape == (3, 2)
    assert (found.across == -1).all()
    assert nearest(unit(1), np.zeros(1, dtype=np.int64), 3).others.shape == (1, 0)


def test_how_far_out():
    values = np.concatenate([np.random.default_rng(0).normal(size=5000), [9.0]])
    found = outlyingness(values)
    assert found[:-1].std() == pytest.approx(1, abs=0.05)
    assert found.argmax() == 5000
    assert outlyingness(np.array([1.0, 1.0, 1.0, 5.0])).tolist() == [0, 0, 0, 0]
    assert len(outlyingness(np.zeros(0))) == 0
