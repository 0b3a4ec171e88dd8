"""Encoded bytes → the 8-bit RGB that a person sees, or a reason why there is none."""

from __future__ import annotations

import io
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from PIL import Image

from cliplab.pictures.pillow import decoding
from cliplab.pictures.seen import as_seen
from cliplab.pictures.unreadable import UnreadablePicture, reason_for, too_large

MAX_PIXELS = 89_478_485
"""Larger pictures are refused unless the limit is raised: Pillow's own limit, 256 MiB of RGB."""

LARGE = 50_000_000  # pixels; larger pictures are decoded one at a time, so that memory is bounded
RUNS_PROGRAMS = ("EPS", "WMF")  # formats that Pillow hands to a program or the system to draw

_one_at_a_time = threading.Lock()


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode the first frame of a picture into what a person sees, as 8-bit RGB.

    EXIF orientation is applied; transparency lies over white; palettes, CMYK, LAB, 16-bit and float
    grey become 8-bit RGB here, before any resizing. An upright 8-bit RGB or grey picture is exactly
    what `PIL.Image.open(file).convert("RGB")` gives; colour profiles are not applied, as there.

    Parameters
    ----------
    data
        The encoded file: any format that Pillow reads.
    max_pixels
        Pictures of more pixels are refused by their header, before they are decoded. Above
        Pillow's own limit (`PIL.Image.MAX_IMAGE_PIXELS`), that is raised for the process.

    Returns
    -------
    PIL.Image.Image
        Mode RGB. While it is made, it takes 4 to 12 bytes a pixel.

    Raises
    ------
    UnreadablePicture
        Whatever is wrong with the bytes; its `reason` is the same each time.

    Notes
    -----
    Safe to call in several threads. Pillow's warnings, of which damaged metadata raise many, are
    not shown.
    """
    with _told_plainly(data, max_pixels):
        return _decoded(data, max_pixels)


def what_is_wrong(data: bytes, *, max_pixels: int = MAX_PIXELS) -> str | None:
    """Say why `decode` would refuse a picture; None where it would not.

    Every byte is read as decoding does, but of a JPEG only an eighth of the pixels each way is
    computed (libjpeg's scaled decoding), which finds what is cut short or damaged at a fraction of
    the time. The parameters are those of `decode`.
    """
    try:
        with _told_plainly(data, max_pixels):
            _decoded(data, max_pixels, scale=8)
    except UnreadablePicture as error:
        return error.reason
    return None


@contextmanager
def _told_plainly(data: bytes, max_pixels: int) -> Iterator[None]:
    """Turn whatever Pillow raises of `data` into an `UnreadablePicture` with its reason."""
    with decoding(max_pixels):
        try:
            yield
        except UnreadablePicture:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise too_large("a very large picture", max_pixels) from error
        except Exception as error:  # Pillow raises nearly every kind there is on bad files
            raise UnreadablePicture(reason_for(data, error)) from error


def _decoded(data: bytes, max_pixels: int, scale: int = 1) -> Image.Image:
    try:
        picture: Image.Image = Image.open(io.BytesIO(data))
    except ValueError as error:
        if "MAX_TEXT" not in str(error):
            raise
        picture = Image.open(io.BytesIO(without_text(data)))
    if picture.format in RUNS_PROGRAMS:
        raise UnreadablePicture(f"a drawing in {picture.format} format; save it as PNG")
    width, height = picture.size
    if width * height > max_pixels:
        raise too_large(f"{width:,} x {height:,} pixels", max_pixels)
    if scale > 1 and picture.format in ("JPEG", "MPO"):
        picture.draft(None, (-(-width // scale), -(-height // scale)))
        width, height = picture.size
    with _one_at_a_time if width * height > LARGE else nullcontext():
        picture.load()
        return as_seen(picture, data)


def without_text(png: bytes) -> bytes:
    """Copy a PNG without its text chunks.

    Editors leave megabytes of notes there, which Pillow refuses to unpack and no viewer minds.
    """
    kept, at = [png[:8]], 8
    while at + 8 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        if kind not in (b"tEXt", b"zTXt", b"iTXt"):
            kept.append(png[at : at + 12 + length])
        at += 12 + length
    return b"".join(kept)
