"""Use of a vocabulary by hand."""

from __future__ import annotations

import numpy as np

from cliplab.metrics.codebook import bits_of_pictures, code_counts, codes_used, perplexity

TOKENS = np.array([[0, 0], [0, 3], [3, 5], [5, 5]])


def test_counts_and_codes_used():
    counts = code_counts(TOKENS, 8)
    assert counts.tolist() == [3, 0, 0, 2, 0, 3, 0, 0]
    assert codes_used(counts) == 3


def test_perplexity_by_hand():
    assert perplexity(np.array([7, 0])) == 1
    np.testing.assert_allclose(perplexity(np.full(64, 3)), 64)
    p = np.array([3, 2, 3]) / 8
    np.testing.assert_allclose(perplexity(code_counts(TOKENS, 8)), 2 ** -(p @ np.log2(p)))


def test_names_of_the_codes_do_not_matter():
    order = np.random.default_rng(0).permutation(8)
    counts, other = code_counts(TOKENS, 8), code_counts(order[TOKENS], 8)
    assert perplexity(counts) == perplexity(other)
    np.testing.assert_allclose(
        bits_of_pictures(TOKENS, counts), bits_of_pictures(order[TOKENS], other)
    )


def test_bits_of_pictures_average_to_the_entropy():
    counts = code_counts(TOKENS, 8)
    bits = bits_of_pictures(TOKENS, counts)
    np.testing.assert_allclose(bits.mean(), 2 * np.log2(perplexity(counts)))
    np.testing.assert_allclose(bits[0], -2 * np.log2(3 / 8))
