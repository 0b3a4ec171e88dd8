"""Pictures side by side in one file, to look at."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cliplab.runtime.errors import UsageError
from cliplab.runtime.storage import write_bytes

LEAST_SIDE = 64  # pixels of a picture in a grid; smaller ones are enlarged, pixel by pixel
WIDEST = 1_400  # pixels of a grid, unless one picture is wider
GAP, BETWEEN = 4, 12  # pixels between pictures, and between pairs of rows
GREY = 176  # of the gaps
TITLE, LETTERS = 22, 16  # pixels of a row's title, and of its letters


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


class Row(NamedTuple):
    """Pictures that belong together, and the words above them."""

    title: str  # "": none
    pictures: np.ndarray  # (M, C, H, W) uint8, M at least 1


def in_rows(rows: Sequence[Row], scale: int | None = None) -> Image.Image:
    """Lay pictures out from left to right, those of a row together, each row under its title.

    Parameters
    ----------
    rows
        All pictures of one size and of as many channels, 1 (grey) or 3 (colour).
    scale
        Pixels a side that a pixel becomes. None: as many as make a picture 64 pixels.

    Returns
    -------
    PIL.Image.Image
        Mode L or RGB; as wide as it must be for as many columns as fit.
    """
    one = rows[0].pictures
    height, width = one.shape[2:]
    scale = scale or max(1, -(-LEAST_SIDE // min(height, width)))
    across, down = width * scale + GAP, height * scale + GAP
    longest = max(len(row.pictures) for row in rows)
    lines = -(-longest // max(1, (WIDEST - GAP) // across))
    columns = -(-longest // lines)
    heights = [
        -(-len(row.pictures) // columns) * down + (TITLE if row.title else 0) for row in rows
    ]
    grid = Image.new(_mode(one), (columns * across + GAP, sum(heights) + GAP), _tone(one))
    top = GAP
    for row, taken in zip(rows, heights, strict=True):
        start = top + (TITLE if row.title else 0)
        if row.title:
            ImageDraw.Draw(grid).text((GAP, top), row.title, fill=0, font=_font())
        for number, pixels in enumerate(row.pictures):
            line, column = divmod(number, columns)
            grid.paste(_picture(pixels, scale), (GAP + column * across, start + line * down))
        top += taken
    return grid


@functools.cache
def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size=LETTERS)


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
