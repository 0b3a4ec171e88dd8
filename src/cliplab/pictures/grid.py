"""Pictures side by side in one file, to look at."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from cliplab.runtime.errors import UsageError
from cliplab.runtime.storage import write_bytes

LEAST_SIDE = 64  # pixels of a picture in a grid; smaller ones are enlarged, pixel by pixel
WIDEST = 1_400  # pixels of a grid, unless one picture is wider
GAP, BETWEEN = 4, 12  # pixels between pictures, and between pairs of rows
GREY = 176  # of the gaps


def above_each_other(above: np.ndarray, below: np.ndarray) -> Image.Image:
    """Lay pairs of pictures out, one above the other, in as many columns as fit.

    Parameters
    ----------
    above, below
        (M, C, H, W) uint8, C 1 (grey) or 3 (colour), M at least 1.

    Returns
    -------
    PIL.Image.Image
        Mode L or RGB.
    """
    n, _channels, height, width = above.shape
    scale = max(1, -(-LEAST_SIDE // min(height, width)))
    across, down = width * scale + GAP, height * scale + GAP
    rows = -(-n // max(1, (WIDEST - GAP) // across))
    columns = -(-n // rows)  # no more than fill the rows evenly
    pair = 2 * down + BETWEEN - GAP
    grid = Image.new(_mode(above), (columns * across + GAP, rows * pair + GAP), _tone(above))
    for number in range(n):
        row, column = divmod(number, columns)
        left, top = GAP + column * across, GAP + row * pair
        for place, pictures in ((top, above), (top + down, below)):
            grid.paste(_picture(pictures[number], scale), (left, place))
    return grid


def _mode(pictures: np.ndarray) -> str:
    return "L" if pictures.shape[1] == 1 else "RGB"


def _tone(pictures: np.ndarray) -> int | tuple[int, ...]:
    return GREY if pictures.shape[1] == 1 else (GREY,) * 3


def _picture(pixels: np.ndarray, scale: int) -> Image.Image:
    """(C, H, W) uint8 → a picture, each pixel `scale` pixels a side."""
    large = np.ascontiguousarray(pixels.repeat(scale, axis=1).repeat(scale, axis=2))
    return Image.fromarray(large[0] if len(large) == 1 else large.transpose(1, 2, 0))


def written_as(path: Path) -> str:
    """Give the format that a file's suffix stands for.

    Raises
    ------
    UsageError
        It stands for none that can be written.
    """
    Image.init()
    found = Image.registered_extensions().get(path.suffix.lower())
    if found not in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"):
        raise UsageError(f"{path}: give a name that ends in .png (or .jpg, .webp).")
    return found


def save_picture(path: Path, picture: Image.Image) -> None:
    """Write a picture atomically, in the format of the suffix."""
    stream = io.BytesIO()
    picture.save(stream, format=written_as(path))
    write_bytes(path, stream.getvalue())
