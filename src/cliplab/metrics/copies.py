"""How near drawings come to training pictures: the nearest of many, found block by block.

Letters: Q drawings that are asked about, S moves, B pictures of a block, C channels, H W pixels.
What is searched is seen once, in blocks, and never held: memory does not grow with it.

A distance in pixels is the root of the mean squared difference, in 0..1, the smallest over moves of
the drawing by up to `SHIFT` pixels each way; larger pictures are averaged to at most `MOST_SIDE`
pixels a side first.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, UInt8

from cliplab.metrics.distribution import squared_distances

MOST_SIDE = 32  # pixels a side that are compared
SHIFT = 1  # pixels that a drawing is moved by, each way
_BLOCK = 16_000_000  # numbers in memory at once


class Nearest:
    """The vector nearest to each of Q drawings, each in S versions, of all vectors that are seen.

    Parameters
    ----------
    queries
        (Q, S, F); the version that is nearest counts.
    """

    def __init__(self, queries: Float[np.ndarray, "Q S F"]) -> None:
        self._queries = queries.astype(np.float32)
        self._squared = np.full(len(queries), np.inf, dtype=np.float32)
        self.places = np.full(len(queries), -1, dtype=np.int64)  # (Q,) of the nearest; -1: none yet

    def see(self, vectors: Float[np.ndarray, "B F"], places: Int[np.ndarray, " B"]) -> None:
        """Look at some more vectors, called by their places; the first of equals is kept."""
        if not len(vectors):
            return
        vectors = vectors.astype(np.float32)
        versions, width = self._queries.shape[1:]
        step = max(1, _BLOCK // (len(vectors) * versions))
        for start in range(0, len(self._queries), step):
            asked = self._queries[start : start + step]
            found = squared_distances(asked.reshape(-1, width), vectors)
            found = found.reshape(len(asked), versions, len(vectors)).min(axis=1)
            near = found.argmin(axis=1)
            squared = np.take_along_axis(found, near[:, None], axis=1)[:, 0]
            nearer = np.flatnonzero(squared < self._squared[start : start + step])
            self._squared[start + nearer] = squared[nearer]
            self.places[start + nearer] = places[near[nearer]]


def averaged(pictures: UInt8[np.ndarray, "B C H W"]) -> Float[np.ndarray, "B C h w"]:
    """Give pictures of at most `MOST_SIDE` pixels a side, 0..255, each pixel the mean of a square.

    The edge is repeated where squares do not divide a side.
    """
    factor = -(-max(pictures.shape[2:]) // MOST_SIDE)
    if factor == 1:
        return pictures.astype(np.float32)
    missing = [-side % factor for side in pictures.shape[2:]]
    whole = np.pad(pictures, ((0, 0), (0, 0), (0, missing[0]), (0, missing[1])), mode="edge")
    n, channels, height, width = whole.shape
    cut = whole.reshape(n, channels, height // factor, factor, width // factor, factor)
    return np.asarray(cut.mean(axis=(3, 5), dtype=np.float32))


def as_rows(pictures: UInt8[np.ndarray, "B C H W"]) -> Float[np.ndarray, "B F"]:
    """Give pictures as the vectors that `Nearest` looks for, in 0..1."""
    small = averaged(pictures)
    return small.reshape(len(small), int(np.prod(small.shape[1:]))) / 255


def moved(pictures: UInt8[np.ndarray, "B C H W"]) -> Float[np.ndarray, "B S F"]:
    """Give each picture moved by up to `SHIFT` pixels each way, in 0..1; the edge is repeated."""
    small = averaged(pictures)
    n, channels, height, width = small.shape
    wide = np.pad(small, ((0, 0), (0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT)), mode="edge")
    moves = range(2 * SHIFT + 1)
    found = [
        wide[:, :, down : down + height, right : right + width].reshape(
            n, channels * height * width
        )
        for down in moves
        for right in moves
    ]
    return np.stack(found, axis=1) / 255


def pixel_distances(
    drawings: UInt8[np.ndarray, "B C H W"], others: UInt8[np.ndarray, "B C H W"]
) -> Float[np.ndarray, " B"]:
    """Give the distance in pixels of each pair, in 0..1, over the moves; 0: a copy.

    Exact where `Nearest` rounds: differences are taken before they are squared.
    """
    found = np.empty(len(drawings))
    step = max(1, _BLOCK // max(1, (2 * SHIFT + 1) ** 2 * drawings[:1].size))
    for start in range(0, len(drawings), step):
        rows = slice(start, start + step)
        apart = moved(drawings[rows]).astype(np.float64) - as_rows(others[rows])[:, None]
        found[rows] = np.sqrt(np.square(apart).mean(axis=2).min(axis=1))
    return found


def feature_distances(
    a: Float[np.ndarray, "B F"], b: Float[np.ndarray, "B F"]
) -> Float[np.ndarray, " B"]:
    """Give the Euclidean distance of each pair of features."""
    return np.asarray(np.sqrt(np.square(a.astype(np.float64) - b).sum(axis=1)))
