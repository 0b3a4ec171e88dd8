"""A decoded picture of any of Pillow's modes → upright 8-bit RGB, as a person sees it."""

from __future__ import annotations

import numpy as np
from PIL import Image, TiffImagePlugin
from PIL.ExifTags import Base as Exif

DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")  # more than 8 bits of grey
USUAL_DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras and scanners put into 16
BITS_PER_SAMPLE, PHOTOMETRIC = 258, 262  # TIFF tags
WHITE_IS_ZERO = 0  # of the second

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation → what makes the picture upright (EXIF 2.32, tag 0x0112)."""


def as_seen(picture: Image.Image, data: bytes) -> Image.Image:
    """Turn a loaded picture into upright 8-bit RGB over white.

    Parameters
    ----------
    picture
        The first frame, loaded, of any mode.
    data
        The file that it comes from: PNG states the depth of its transparent colour there alone.
    """
    return _upright(_rgb(picture, data), picture)


def _upright(rgb: Image.Image, picture: Image.Image) -> Image.Image:
    try:  # after loading: Pillow turns a TIFF as it loads, and then drops the tag
        turn = TURNS.get(picture.getexif().get(Exif.Orientation, 1))
    except Exception:  # damaged EXIF says nothing of the pixels
        turn = None
    if turn is None:
        return rgb
    upright = rgb.transpose(turn)
    upright.info = {}  # the orientation that it would repeat is no longer true
    return upright


def _rgb(picture: Image.Image, data: bytes) -> Image.Image:
    if picture.mode in DEEP:
        return _from_deep(picture).convert("RGB")
    if picture.has_transparency_data:
        if picture.format == "PNG":
            _fit_transparent_colour(picture, bits=data[24])
        return _over_white(picture)
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _over_white(picture: Image.Image) -> Image.Image:
    if picture.mode == "La":  # alpha multiplied in; Pillow has one way out of that
        picture = picture.convert("LA")
    white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")


def _fit_transparent_colour(picture: Image.Image, bits: int) -> None:
    """Bring a PNG's transparent colour to the 8 bits of its pixels; Pillow leaves it in the file's.

    `bits` a sample are what the header states, the 25th byte of the file.
    """
    colour = picture.info.get("transparency")
    if picture.mode == "L" and isinstance(colour, int) and bits in (2, 4):
        picture.info["transparency"] = colour * 255 // (2**bits - 1)
    if picture.mode == "RGB" and isinstance(colour, tuple) and bits == 16:
        picture.info["transparency"] = tuple(value >> 8 for value in colour)


def _from_deep(picture: Image.Image) -> Image.Image:
    """8-bit grey of deeper grey.

    Where the format says what white is, that is white. A TIFF of 16 bits often holds 10 or 12 that
    a camera gave: white is the least usual depth that holds all its values. Where nothing is
    known (signed, 32 bits, floats outside 0..1), black and white are the darkest and the brightest
    value, as in viewers of scientific pictures.
    """
    values = np.asarray(picture)
    low, high = _black_and_white(picture, values)
    scaled = values.astype(np.float32)
    scaled -= low
    scaled *= 255.0 / ((high - low) or 1.0)
    np.nan_to_num(scaled, copy=False, nan=0.0, posinf=255.0, neginf=0.0)
    grey = np.rint(scaled.clip(0, 255, out=scaled), out=scaled).astype(np.uint8)
    if _tag(picture, PHOTOMETRIC) == WHITE_IS_ZERO:
        grey = 255 - grey
    transparent = picture.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey)


def _black_and_white(picture: Image.Image, values: np.ndarray) -> tuple[float, float]:
    if picture.format in ("PNG", "PPM", "JPEG2000") and picture.mode != "F":
        return 0.0, 65535.0  # Pillow has scaled whatever depth the file had to 16 bits
    finite = values[np.isfinite(values)] if picture.mode == "F" else values
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if picture.mode == "F" and low >= 0 and high <= 1:
        return 0.0, 1.0
    if picture.mode.startswith("I;16"):
        bits = _tag(picture, BITS_PER_SAMPLE)
        least = bits if bits and 8 < bits < 16 else 8
        return 0.0, next(2.0**b - 1 for b in USUAL_DEPTHS if b >= least and high < 2**b)
    return low, high


def _tag(picture: Image.Image, tag: int) -> int | None:
    """First number of a TIFF tag; None where the picture is no TIFF or has no such tag."""
    if not isinstance(picture, TiffImagePlugin.TiffImageFile):
        return None
    value = picture.tag_v2.get(tag)
    value = value[0] if isinstance(value, tuple) and value else value
    return value if isinstance(value, int) else None
