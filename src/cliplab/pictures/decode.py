"""Encoded bytes → the 8-bit RGB that a person sees, or a reason why there is none."""

from __future__ import annotations

import ctypes
import io
import threading
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cliplab.runtime.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 89_478_485
"""Pictures of more pixels are refused unless the limit is raised: Pillow's own, 256 MiB of RGB."""

_ORIENTATION = 0x0112  # EXIF tag
_BITS_PER_SAMPLE = 258  # TIFF tag
_WITH_ALPHA = ("LA", "PA", "RGBA", "La", "RGBa")
_DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N", "F")
_quieting = threading.Lock()
_quieted = False


class UnreadablePicture(DataError):
    """Bytes that are no picture, or not a whole one; `reason` says why in a few words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image:
    """Decode the first frame of a picture into what a person sees, as 8-bit RGB.

    EXIF orientation is applied; transparency lies over white; palettes, CMYK, LAB, 16-bit and float
    grey become 8-bit RGB here, before any resizing. An upright 8-bit RGB or grey picture is exactly
    what `PIL.Image.open(file).convert("RGB")` gives.

    Parameters
    ----------
    data
        The encoded file: any format that Pillow reads.
    max_pixels
        Pictures of more pixels are refused by their header, before memory is taken for them
        (`--max-pixels`). One picture being decoded takes about 4 bytes a pixel, RGBA 8.

    Raises
    ------
    UnreadablePicture
        Whatever is wrong with the bytes; safe to call in several threads.
    """
    _quiet_pillow()
    if stranger := _not_a_picture(data):
        raise UnreadablePicture(stranger)
    try:
        return _as_seen(_opened(data, max_pixels))
    except UnreadablePicture:
        raise
    except Exception as error:  # Pillow raises nearly every kind there is on bad files
        raise UnreadablePicture(_reason(error, data)) from error


def _opened(data: bytes, max_pixels: int) -> Image:
    from PIL import Image

    if Image.MAX_IMAGE_PIXELS is not None and Image.MAX_IMAGE_PIXELS < max_pixels:
        Image.MAX_IMAGE_PIXELS = max_pixels  # Pillow's own guard never goes below ours
    picture = Image.open(io.BytesIO(data))
    width, height = picture.size
    if width * height > max_pixels:
        raise UnreadablePicture(_too_large(f"{width:,} x {height:,} pixels", max_pixels))
    picture.load()
    return picture


def _too_large(found: str, max_pixels: int) -> str:
    return f"{found}, over the limit of {max_pixels:,} (a decompression bomb? --max-pixels raises it)"


# ------------------------------------------------------------------------------- as a person sees


def _as_seen(picture: Image) -> Image:
    turned = _upright(picture)
    if turned.mode in _DEEP:
        return _from_deep(turned, _depth(picture)).convert("RGB")
    if turned.mode == "LAB":
        return _from_lab(turned)
    if turned.mode in _WITH_ALPHA or "transparency" in turned.info:
        return _over_white(turned)
    return turned if turned.mode == "RGB" else turned.convert("RGB")


def _upright(picture: Image) -> Image:
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    try:  # after loading: Pillow turns a TIFF itself as it loads, and then drops the tag
        turn = turns.get(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF says nothing of the picture
        turn = None
    return picture if turn is None else picture.transpose(turn)


def _over_white(picture: Image) -> Image:
    from PIL import Image

    straight = {"La": "LA", "RGBa": "RGBA"}.get(picture.mode)
    if straight:
        picture = picture.convert(straight)
    picture = picture.convert("RGBA")
    white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, picture).convert("RGB")


def _depth(picture: Image) -> int:
    """Bits a sample that the file states; 16 where it states none."""
    tags = getattr(picture, "tag_v2", None)
    bits = tags.get(_BITS_PER_SAMPLE, (16,)) if tags is not None else (16,)
    return int(bits[0]) if 8 < int(bits[0]) <= 16 else 16


def _from_deep(picture: Image, bits: int) -> Image:
    """8-bit grey of integer or float grey: by the stated depth, or by its range without one."""
    from PIL import Image

    values = np.asarray(picture).astype(np.float64)
    values = np.where(np.isfinite(values), values, 0.0)
    low, high = float(values.min()), float(values.max())
    if picture.mode == "F" and 0 <= low and high <= 1:
        top = 1.0
    elif picture.mode == "F" and 0 <= low and high <= 255:
        top = 255.0
    elif 0 <= low and high <= 2**bits - 1:
        top = 2.0**bits - 1
    else:  # signed or wider: nothing says what white is, so that the brightest is
        values, top = values - low, max(high - low, 1.0)
    return Image.fromarray(np.round(values * (255.0 / top)).astype(np.uint8))


def _from_lab(picture: Image) -> Image:
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    turned = ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB")
    assert turned is not None
    return turned


# ------------------------------------------------------------------------------- what is wrong


def _not_a_picture(data: bytes) -> str | None:
    if not data:
        return "an empty file"
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "an HTML page, not a picture (a download that failed?)"
    if start.startswith(b"<svg") or (start.startswith(b"<?xml") and b"<svg" in start):
        return "an SVG drawing; convert it to PNG first"
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the picture itself; run `git lfs pull`"
    return None


def _reason(error: Exception, data: bytes) -> str:
    from PIL import Image, UnidentifiedImageError

    said = " ".join(str(error).split())
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return "a decompression bomb, by Pillow's guard (--max-pixels raises the limit)"
    if isinstance(error, UnidentifiedImageError):
        return f"no picture format that can be recognised ({len(data):,} bytes)"
    if "truncated" in said.lower():
        return f"truncated: {said}"
    if isinstance(error, MemoryError):
        return "too little memory to decode it"
    return f"damaged: {said[:200] or type(error).__name__}"


def _quiet_pillow() -> None:
    """Silence, once for the process, what Pillow says of corrupt metadata: we say what matters."""
    global _quieted
    if _quieted:
        return
    with _quieting:
        if not _quieted:
            warnings.filterwarnings("ignore", module=r"PIL\.")
            _quiet_libtiff()
            _quieted = True


def _quiet_libtiff() -> None:
    """Take away libtiff's own messages, which go past Python to the terminal, hundreds a file.

    The library that Pillow's wheels bring is asked; where there is another, it keeps talking.
    """
    import PIL

    folder = Path(PIL.__file__).parent
    for library in (*folder.parent.glob("pillow.libs/libtiff*"), *folder.glob(".dylibs/libtiff*")):
        with suppress(OSError, AttributeError):
            libtiff = ctypes.CDLL(str(library))
            libtiff.TIFFSetErrorHandler(None)
            libtiff.TIFFSetWarningHandler(None)
