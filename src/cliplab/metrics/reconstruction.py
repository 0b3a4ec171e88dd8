"""How near reconstructions come to their pictures: values of each picture, in, numbers out.

Letters: M pictures, C channels, H W pixels. Pictures are uint8, 0..255; every measure is on the
scale 0..1.

- ``absolute_error`` (L1) and ``squared_error``: means over a picture's values.
- ``psnr``: -10 log10 of a mean squared error. Over many pictures that of their mean error is taken,
  since one perfect picture would make a mean of decibels infinite.
- ``structural_similarity``: Wang, Bovik, Sheikh and Simoncelli 2004, section III, with its Gaussian
  window of 11x11 and σ = 1.5, K1 = 0.01, K2 = 0.03, over the places where the window fits.
- ``stroke_iou``: of drawings: pixels that are stroke in both over pixels that are stroke in either,
  a pixel being stroke if it is nearer to the strokes' tone than to the paper's (threshold 0.5).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

WINDOW, SIGMA = 11, 1.5  # of structural similarity
K1, K2 = 0.01, 0.03


def absolute_error(
    pictures: UInt8[np.ndarray, "M C H W"], others: UInt8[np.ndarray, "M C H W"]
) -> Float[np.ndarray, " M"]:
    """Mean absolute difference of each pair, in 0..1."""
    difference = np.abs(pictures.astype(np.int16) - others)
    return np.asarray(difference.mean(axis=(1, 2, 3)) / 255)


def squared_error(
    pictures: UInt8[np.ndarray, "M C H W"], others: UInt8[np.ndarray, "M C H W"]
) -> Float[np.ndarray, " M"]:
    """Mean squared difference of each pair, in 0..1."""
    difference = pictures.astype(np.int32) - others
    return np.asarray(np.square(difference).mean(axis=(1, 2, 3)) / 255**2)


def psnr(mean_squared_error: float | Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*_"]:
    """Peak signal-to-noise ratio in decibels of mean squared errors in 0..1; of 0: infinite.

    >>> psnr(np.array([1.0, 0.01]))
    array([-0., 20.])
    """
    with np.errstate(divide="ignore"):
        return np.asarray(-10.0 * np.log10(mean_squared_error))


def structural_similarity(
    pictures: UInt8[np.ndarray, "M C H W"], others: UInt8[np.ndarray, "M C H W"]
) -> Float[np.ndarray, " M"]:
    """Give the mean structural similarity of each pair, in -1..1; that of equal pictures is 1.

        SSIM = (2 μx μy + c1)(2 σxy + c2) / ((μx² + μy² + c1)(σx² + σy² + c2)),  ci = Ki²

    Channels are compared one by one and averaged. Of pictures smaller than the window, the largest
    window of an odd side that fits is taken.
    """
    x, y = pictures.astype(np.float64) / 255, others.astype(np.float64) / 255
    window = _window(min(WINDOW, *pictures.shape[2:]))
    mean_x, mean_y = _windowed(x, window), _windowed(y, window)
    variance_x = _windowed(x * x, window) - mean_x**2
    variance_y = _windowed(y * y, window) - mean_y**2
    covariance = _windowed(x * y, window) - mean_x * mean_y
    c1, c2 = K1**2, K2**2
    above = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    below = (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return np.asarray((above / below).mean(axis=(1, 2, 3)))


def _window(most: int) -> np.ndarray:
    """Weights of one axis, an odd number of at most `most`, adding up to 1."""
    radius = (most - 1) // 2
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / SIGMA) ** 2)
    found: np.ndarray = weights / weights.sum()
    return found


def _windowed(values: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Weighted means over both last axes, where the window fits."""
    from scipy.ndimage import correlate1d

    radius = len(window) // 2
    for axis in (2, 3):
        values = correlate1d(values, window, axis=axis)
        inside = [slice(None)] * 4
        inside[axis] = slice(radius, values.shape[axis] - radius)
        values = values[tuple(inside)]
    return values


def strokes_are_dark(picture: Float[np.ndarray, "C H W"] | UInt8[np.ndarray, "C H W"]) -> bool:
    """Tell from a picture, best the mean of many drawings, whether they are dark on light paper.

    The paper's tone is that of the outermost pixels.
    """
    edge = np.concatenate(
        [
            part.ravel()
            for part in (picture[:, 0], picture[:, -1], picture[..., 0], picture[..., -1])
        ]
    )
    return bool(edge.mean() > 127.5)


def stroke_iou(
    pictures: UInt8[np.ndarray, "M 1 H W"],
    others: UInt8[np.ndarray, "M 1 H W"],
    *,
    are_dark: bool,
) -> Float[np.ndarray, " M"]:
    """Give the intersection over union of the strokes of each pair of drawings, in 0..1.

    Parameters
    ----------
    pictures, others
        (M, 1, H, W) grey.
    are_dark
        Whether strokes are dark on light paper (`strokes_are_dark`), else light on dark.

    Returns
    -------
    numpy.ndarray
        (M,); 1 where neither has a stroke, 0 where one alone has.
    """
    a, b = ((drawing < 128) if are_dark else (drawing >= 128) for drawing in (pictures, others))
    both, either = (a & b).sum(axis=(1, 2, 3)), (a | b).sum(axis=(1, 2, 3))
    return np.asarray(np.where(either > 0, both / np.maximum(either, 1), 1.0))
