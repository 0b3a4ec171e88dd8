"""Strokes become pixels: lines with round caps and joints, anti-aliased, the same on every machine.

A segment of a stroke is drawn as all points within half a line's width of it. Each row of pixels is
cut into k lines of sight; on one of them a segment covers one run, whose ends have a closed form.
The runs of a stroke are united, and the share of a pixel that they cover is its ink. A stroke laid
over others leaves of their paper what it does not cover, so that shares a and b become
a + b - a b, as drawing libraries do (Porter and Duff 1984, "over").

The frame is that of the published 28x28 bitmaps, which were drawn from the simplified strokes: the
strokes' bounding box in the middle of a square of 256 units, lines 16 units wide, a margin of
16 units and half a line around it. Drawn at 28 pixels, a drawing is its published bitmap to within
a grey or two (mean difference 0.6 of 255).

Arithmetic is that of whole numbers, and +, -, *, / and square root of floats, which IEEE 754 fixes
to the last bit.

K strokes, S segments, L runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

SIDE, LINE, MARGIN = 256.0, 16.0, 16.0  # units of the strokes
WHOLE = SIDE + 2 * MARGIN + LINE  # what a picture shows
FINE = 256  # parts of a pixel to which the ends of runs are rounded


class _Runs(NamedTuple):
    """What segments cover on the lines of sight."""

    line: np.ndarray  # (L,) int64: number of stroke and line of sight, counted on
    start: np.ndarray  # (L,) int64, in parts of a pixel from the left
    stop: np.ndarray  # (L,) int64, behind the end


def draw_strokes(strokes: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Draw strokes as ink on paper.

    Parameters
    ----------
    strokes
        Each (2, n) float64: x to the right and y down, in units of which the larger side of the
        drawing is about 255. A stroke of one point is a dot.
    size
        Of the picture, in pixels a side.

    Returns
    -------
    numpy.ndarray
        (size, size) uint8: 255 full ink, 0 paper.
    """
    lines = lines_a_pixel(size)
    points = np.concatenate(strokes, axis=1)
    shift = (WHOLE - points.min(axis=1) - points.max(axis=1)) / 2
    scale = size / WHOLE
    placed = [(stroke + shift[:, None]) * scale for stroke in strokes]
    runs = _united(_runs(placed, LINE / 2 * scale, size, lines), size * FINE)
    covered = _covered(runs, len(strokes), size, lines)
    paper = np.ones((size, size))
    for share in covered:
        paper *= 1 - share / (FINE * lines)
    return np.floor(255 * (1 - paper) + 0.5).astype(np.uint8)


def lines_a_pixel(size: int) -> int:
    """Lines of sight in each row of pixels: 16 in small pictures, 4 in large ones."""
    return max(4, min(16, 512 // size))


def _runs(strokes: Sequence[np.ndarray], radius: float, size: int, lines: int) -> _Runs:
    """Give what each segment covers on each line of sight that it meets; strokes in pixels."""
    starts = np.concatenate([s[:, : max(1, s.shape[1] - 1)] for s in strokes], axis=1)  # (2, S)
    ends = np.concatenate([s[:, min(1, s.shape[1] - 1) :] for s in strokes], axis=1)
    stroke = np.repeat(np.arange(len(strokes)), [max(1, s.shape[1] - 1) for s in strokes])
    n = size * lines
    top = (np.minimum(starts[1], ends[1]) - radius) * lines
    bottom = (np.maximum(starts[1], ends[1]) + radius) * lines
    first = np.clip(np.ceil(top - 0.5), 0, n).astype(np.int64)
    behind = np.clip(np.floor(bottom - 0.5) + 1, 0, n).astype(np.int64)
    counts = np.maximum(behind - first, 0)
    which = np.repeat(np.arange(len(counts)), counts)
    line = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts - first, counts)
    left, right = _ends(starts[:, which], ends[:, which], (line + 0.5) / lines, radius)
    start = np.clip(np.floor(left * FINE + 0.5), 0, size * FINE).astype(np.int64)
    stop = np.clip(np.floor(right * FINE + 0.5), 0, size * FINE).astype(np.int64)
    return _Runs(stroke[which] * n + line, start, stop)


def _ends(
    starts: np.ndarray, ends: np.ndarray, y: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray]:
    """Where the line at `y` enters and leaves each segment's shape; inf, -inf where it misses it.

    The shape's outline is a half circle about each end and two lines between them.
    """
    left, right = np.full(len(y), np.inf), np.full(len(y), -np.inf)
    for x0, y0 in (starts, ends):
        inside = radius * radius - (y - y0) * (y - y0)
        half = np.sqrt(np.maximum(inside, 0))
        hit = inside >= 0
        np.minimum(left, x0 - half, out=left, where=hit)
        np.maximum(right, x0 + half, out=right, where=hit)
    along = ends - starts
    length = np.sqrt(along[0] * along[0] + along[1] * along[1])
    away = radius / np.where(length > 0, length, 1)
    rise = np.where(along[1] != 0, along[1], 1)
    for sign in (1.0, -1.0):
        part = (y - (starts[1] + sign * along[0] * away)) / rise
        hit = (along[1] != 0) & (part >= 0) & (part <= 1)
        x = starts[0] - sign * along[1] * away + part * along[0]
        np.minimum(left, x, out=left, where=hit)
        np.maximum(right, x, out=right, where=hit)
    return left, right


def _united(runs: _Runs, width: int) -> _Runs:
    """Cut the runs so that those of one line and stroke do not overlap, and cover the same."""
    some = runs.stop > runs.start
    base = runs.line[some] * width
    start, stop = base + runs.start[some], base + runs.stop[some]
    order = np.argsort(start, kind="stable")
    start, stop = start[order], stop[order]
    covered = np.maximum.accumulate(stop)  # so far; what lies on an earlier line is less
    start[1:] = np.maximum(start[1:], covered[:-1])
    kept = stop > start
    line = (stop[kept] - 1) // width
    return _Runs(line, start[kept] - line * width, stop[kept] - line * width)


def _covered(runs: _Runs, n_strokes: int, size: int, lines: int) -> np.ndarray:
    """(K, size, size) float64: what each stroke covers of each pixel, of `FINE` times `lines`.

    Up to x, a run covers the pixels before that of x whole, and of that one the part before x. Put
    down are the steps of this from one pixel to the next, whose running sum it is.
    """
    width = size + 2
    row = runs.line // lines * width  # of pixels, strokes counted on
    pixels, steps = [], []
    for x, sign in ((runs.stop, 1), (runs.start, -1)):
        pixel, part = row + x // FINE, x % FINE
        pixels += [pixel, pixel + 1]
        steps += [sign * (part - FINE), -sign * part]
    cells = n_strokes * size * width
    grid = np.bincount(np.concatenate(pixels), np.concatenate(steps), minlength=cells)
    found: np.ndarray = np.cumsum(grid.reshape(n_strokes, size, width)[..., :size], axis=2)
    return found
