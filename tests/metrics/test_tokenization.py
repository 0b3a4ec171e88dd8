"""The numbers of a tokenizer's record, from what was measured picture by picture."""

from __future__ import annotations

import numpy as np
import pytest

from cliplab.metrics.tokenization import MEASURES, score_tokenizer


def measured(n=40, grey=True, seed=0):
    generator = np.random.default_rng(seed)
    names = ["l1", "mse", "ssim", *(["stroke_iou"] if grey else [])]
    distances = {
        kind: {name: generator.random(n) for name in names}
        for kind in ("reconstruction", "mean_picture", "blank")
    }
    tokens = generator.integers(0, 8, (n, 4)).astype(np.uint16)
    return distances, tokens, generator.random(n), generator.random(n)


def test_values_are_means_and_lie_in_their_intervals():
    distances, tokens, soft, hard = measured()
    found = score_tokenizer(distances, tokens, 16, soft, hard)
    for kind, of in distances.items():
        assert tuple(found.distances[kind]) == MEASURES
        for name in ("l1", "ssim", "stroke_iou"):
            assert found.distances[kind][name].value == pytest.approx(of[name].mean())
        expected = -10 * np.log10(of["mse"].mean())
        assert found.distances[kind]["psnr"].value == pytest.approx(expected)
    everything = [m for of in found.distances.values() for m in of.values()]
    everything += [*found.gap, found.codebook.perplexity, found.codebook.bits_a_picture]
    assert all(m.low < m.value < m.high for m in everything)


def test_the_gap_is_hard_minus_soft_over_the_same_resamples():
    distances, tokens, soft, _ = measured()
    found = score_tokenizer(distances, tokens, 16, soft, soft + 0.25)
    assert found.gap.gap == pytest.approx((0.25, 0.25, 0.25))


def test_the_codebook_counts_what_is_there():
    distances, tokens, soft, hard = measured()
    found = score_tokenizer(distances, tokens, 16, soft, hard).codebook
    assert (found.codes, found.used) == (16, 8)
    assert found.most_bits_a_picture == 16
    p = np.bincount(tokens.ravel()) / tokens.size
    assert found.perplexity.value == pytest.approx(2 ** -(p @ np.log2(p)))
    assert found.bits_a_picture.value == pytest.approx(4 * np.log2(found.perplexity.value))
    assert found.bits_a_picture.high <= 4 * np.log2(found.perplexity.high) + 1e-9


def test_a_perfect_tokenizer_has_no_end_of_decibels():
    distances, tokens, soft, hard = measured()
    distances["reconstruction"]["mse"][:] = 0
    assert (
        score_tokenizer(distances, tokens, 16, soft, hard).distances["reconstruction"]["psnr"].value
        is None
    )


def test_what_is_not_measured_is_not_scored():
    distances, tokens, soft, hard = measured(grey=False)
    found = score_tokenizer(distances, tokens, 16, soft, hard)
    assert found.distances["blank"]["stroke_iou"].value is None
    assert found.recognition is None
    none = score_tokenizer(distances, tokens, 16, soft, hard, np.zeros((0, 2), dtype=bool))
    assert none.recognition.n == 0
    assert none.recognition.originals.value is None
    assert none.recognition.difference.value is None


def test_recognition_is_paired():
    distances, tokens, soft, hard = measured()
    recognised = np.array([[True, True]] * 6 + [[True, False]] * 3 + [[False, False]])
    found = score_tokenizer(distances, tokens, 16, soft, hard, recognised).recognition
    assert (found.originals.value, found.reconstructions.value) == (0.9, 0.6)
    assert found.difference.value == pytest.approx(-0.3)
    assert found.difference.high <= 0
