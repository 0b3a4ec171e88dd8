"""Distances of reconstructions: hand-worked cases, a plain reference, and what must not matter."""

from __future__ import annotations

import numpy as np
import pytest

from cliplab.metrics.reconstruction import (
    absolute_error,
    psnr,
    squared_error,
    stroke_iou,
    strokes_are_dark,
    structural_similarity,
)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_errors_by_hand():
    a = np.array([[[[0, 255], [0, 0]]], [[[51, 51], [51, 51]]]], dtype=np.uint8)
    b = np.array([[[[255, 255], [0, 0]]], [[[0, 0], [0, 0]]]], dtype=np.uint8)
    np.testing.assert_allclose(absolute_error(a, b), [0.25, 0.2])
    np.testing.assert_allclose(squared_error(a, b), [0.25, 0.04])
    np.testing.assert_allclose(psnr(np.array([0.25, 0.01])), [6.0206, 20.0], atol=1e-4)
    assert psnr(np.array(0.0)) == np.inf


def test_errors_do_not_overflow_and_have_no_order():
    a, b = noise(3, 3, 9, 7), noise(3, 3, 9, 7, seed=1)
    for measure in (absolute_error, squared_error, structural_similarity):
        np.testing.assert_allclose(measure(a, b), measure(b, a))
        assert measure(a, 255 - a).min() >= -1
    black, white = np.zeros((1, 1, 4, 4), np.uint8), np.full((1, 1, 4, 4), 255, np.uint8)
    assert absolute_error(black, white) == squared_error(black, white) == 1.0


def similarity_said_plainly(x: np.ndarray, y: np.ndarray, side: int = 11) -> float:
    """One grey pair, window by window, as Wang et al. 2004 write it."""
    x, y = x / 255.0, y / 255.0
    axis = np.exp(-((np.arange(side) - side // 2) ** 2) / (2 * 1.5**2))
    w = np.outer(axis, axis) / np.outer(axis, axis).sum()
    found = []
    for i in range(x.shape[0] - side + 1):
        for j in range(x.shape[1] - side + 1):
            a, b = x[i : i + side, j : j + side], y[i : i + side, j : j + side]
            ma, mb = (w * a).sum(), (w * b).sum()
            va, vb = (w * (a - ma) ** 2).sum(), (w * (b - mb) ** 2).sum()
            cov = (w * (a - ma) * (b - mb)).sum()
            c1, c2 = 0.01**2, 0.03**2
            found.append(
                (2 * ma * mb + c1) * (2 * cov + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
            )
    return float(np.mean(found))


def test_similarity_is_that_of_the_paper():
    a = noise(2, 1, 16, 13)
    b = (a * 0.7 + noise(2, 1, 16, 13, seed=1) * 0.3).astype(np.uint8)
    expected = [similarity_said_plainly(x[0], y[0]) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(structural_similarity(a, b), expected, rtol=1e-9)


def test_similarity_of_constant_pictures_by_hand():
    a, b = np.full((1, 1, 12, 12), 51, np.uint8), np.full((1, 1, 12, 12), 102, np.uint8)
    expected = (2 * 0.2 * 0.4 + 1e-4) / (0.2**2 + 0.4**2 + 1e-4)
    np.testing.assert_allclose(structural_similarity(a, b), expected, rtol=1e-9)


def test_similarity_of_equal_pictures_is_one_and_of_negatives_below_zero():
    a = noise(2, 3, 20, 20)
    np.testing.assert_allclose(structural_similarity(a, a), 1.0)
    assert (structural_similarity(a, 255 - a) < 0).all()


def test_similarity_of_colour_is_the_mean_of_the_channels():
    a, b = noise(1, 3, 14, 14), noise(1, 3, 14, 14, seed=1)
    channels = [structural_similarity(a[:, [c]], b[:, [c]])[0] for c in range(3)]
    np.testing.assert_allclose(structural_similarity(a, b), np.mean(channels))


@pytest.mark.parametrize(("side", "window"), [(8, 7), (10, 9), (1, 1)])
def test_similarity_of_small_pictures_takes_the_window_that_fits(side, window):
    a, b = noise(1, 1, side, side), noise(1, 1, side, side, seed=1)
    expected = similarity_said_plainly(a[0, 0], b[0, 0], window)
    np.testing.assert_allclose(structural_similarity(a, b), [expected])


def drawing(*rows: str) -> np.ndarray:
    return np.array([[[[255 * (c == "#") for c in row] for row in rows]]], dtype=np.uint8)


def test_strokes_by_hand_in_either_polarity():
    a, b = drawing("#..", "##.", "..."), drawing("#..", "#..", "#..")
    assert stroke_iou(a, b, are_dark=False) == 2 / 4
    assert stroke_iou(255 - a, 255 - b, are_dark=True) == 2 / 4
    assert stroke_iou(a, b, are_dark=True) == 5 / 7  # of the paper: not what is wanted


def test_strokes_of_blank_pictures():
    blank, line = drawing("..", ".."), drawing("##", "..")
    assert stroke_iou(blank, blank, are_dark=False) == 1
    assert stroke_iou(line, blank, are_dark=False) == 0


def test_the_threshold_is_a_half():
    a = np.array([[[[127, 128]]]], dtype=np.uint8)
    assert stroke_iou(a, drawing(".#"), are_dark=False) == 1
    assert stroke_iou(a, drawing(".#"), are_dark=True) == 1


def test_the_paper_tells_the_polarity():
    line = drawing("....", ".##.", ".##.", "....")[0]
    assert not strokes_are_dark(line)
    assert strokes_are_dark(255 - line)
    assert strokes_are_dark(line * 0.5 + 100.0) is False
