"""Width, height and contrast of pictures, which vectors do not tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from cliplab.nouns import PictureSource
from cliplab.pictures.loader import MAX_PIXELS as MAX_PIXELS
from cliplab.pictures.loader import load_pictures

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

THUMBNAIL = 64  # pixels a side at most, on which contrast is measured


def shapes(
    source: PictureSource,
    rows: np.ndarray,
    *,
    workers: int | None = None,
    max_pixels: int = MAX_PIXELS,
    advance: Callable[[int], None] = lambda _count: None,
) -> np.ndarray:
    """Measure pictures as a person sees them: (n, 3) float64 of width, height and contrast.

    Contrast is the standard deviation of the grey levels 0..255 of a thumbnail. All three are NaN
    where a picture cannot be read. The parameters are those of `load_pictures`; `advance` is told
    how many more are done.
    """
    found = np.full((len(rows), 3), np.nan)
    loaded = load_pictures(source, rows, _shape, workers=workers, max_pixels=max_pixels)
    for i, one in enumerate(loaded):
        if one.pixels is not None:
            found[i] = one.pixels.numpy()
        advance(1)
    return found


def _shape(picture: Image) -> torch.Tensor:
    import torch

    grey = picture.convert("L")
    grey.thumbnail((THUMBNAIL, THUMBNAIL))
    contrast = float(np.asarray(grey, dtype=np.float64).std())
    return torch.tensor([*map(float, picture.size), contrast], dtype=torch.float64)
