"""Vectors to unit length, at use: what lies on disk is raw."""

from __future__ import annotations

import numpy as np


def normalise(vectors: np.ndarray) -> np.ndarray:
    """Scale each row to unit L2 norm; a row of zeros stays zeros.

    Parameters
    ----------
    vectors
        (N, D) of any float type and range.

    Returns
    -------
    np.ndarray
        (N, D) float32, unit L2 norm.
    """
    rows = np.asarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: np.ndarray = rows / np.where(norms > 0, norms, np.float32(1))
    return scaled
