"""Unit length at use."""

from __future__ import annotations

import numpy as np

from cliplab.embeddings.normalise import normalise


def test_rows_get_unit_length_and_zeros_stay_zeros():
    unit = normalise(np.array([[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]]))
    assert unit.dtype == np.float32
    np.testing.assert_allclose(unit, [[0.6, 0.8], [0, 0], [0, -1]], rtol=1e-6)


def test_scale_does_not_matter_and_the_input_is_left_alone():
    vectors = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    before = vectors.copy()
    np.testing.assert_allclose(normalise(vectors * 1000), normalise(vectors), rtol=1e-5)
    np.testing.assert_array_equal(vectors, before)
