"""Grey pixels as PNG, the same bytes on every machine."""

from __future__ import annotations

import struct
import zlib

import numpy as np

_BLOCK = 0xFFFF  # bytes that a stored block of deflate holds at most


def grey_png(pixels: np.ndarray) -> bytes:
    """Give grey pixels (H, W) uint8 as PNG.

    An encoder's choice of filters and compression differs by version, and with it the digest; so
    the rows are stored as they are (PNG, ISO/IEC 15948: filter 0; RFC 1951: stored blocks).
    `png_size` tells beforehand how many bytes that is.
    """
    height, width = pixels.shape
    rows = np.zeros((height, width + 1), dtype=np.uint8)
    rows[:, 1:] = pixels
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", _stored(rows.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def png_size(height: int, width: int) -> int:
    """Bytes that `grey_png` gives for a picture of these sides.

    >>> png_size(28, 28) == len(grey_png(np.zeros((28, 28), np.uint8)))
    True
    """
    raw = height * (width + 1)
    blocks = max(1, -(-raw // _BLOCK))
    return 8 + 25 + 12 + (2 + 5 * blocks + raw + 4) + 12


def _stored(data: bytes) -> bytes:
    """Wrap bytes as a zlib stream (RFC 1950) that is not compressed."""
    pieces = [data[start : start + _BLOCK] for start in range(0, max(1, len(data)), _BLOCK)]
    blocks = [
        struct.pack("<BHH", number == len(pieces) - 1, len(piece), len(piece) ^ 0xFFFF) + piece
        for number, piece in enumerate(pieces)
    ]
    return b"\x78\x01" + b"".join(blocks) + struct.pack(">I", zlib.adler32(data))
