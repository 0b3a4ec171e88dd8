"""Pictures at thumbnail size, as they stand in a page: encoded anew from pixels, never as given."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from cliplab.nouns import PictureSource
from cliplab.pictures.loader import load_pictures
from cliplab.runtime.progress import progress

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

SMALL = 48  # pixels a side, up to which a picture is kept to the pixel
QUALITY = 72  # of lossy thumbnails, 0..100


def thumbnails(
    source: PictureSource,
    rows: Iterable[int],
    *,
    edge: int,
    budget: int,
    workers: int | None = None,
) -> dict[int, str]:
    """Make thumbnails of pictures until the budget is used up.

    Parameters
    ----------
    source
        Where the pictures come from.
    rows
        Which, the most telling first.
    edge
        Pixels of the longer side at most; pictures are never enlarged.
    budget
        Characters of all `data:` addresses together, at most.
    workers
        As for `load_pictures`.

    Returns
    -------
    dict
        Row → `data:image/…;base64,…`. A picture that cannot be read has none.
    """
    wanted = np.fromiter(rows, dtype=np.int64)
    found: dict[int, str] = {}
    loaded = load_pictures(source, wanted, lambda p: _encoded(p, edge), workers=workers)
    with progress("thumbnails", len(wanted)) as advance:
        for one in loaded:
            if one.pixels is not None:
                address = _address(one.pixels.numpy().tobytes())
                budget -= len(address)
                if budget < 0:
                    break
                found[one.row] = address
            advance(1)
    loaded.close()
    return found


def _encoded(picture: Image, edge: int) -> torch.Tensor:
    """Give the encoded file (n,) uint8 of a thumbnail; nothing but pixels comes over."""
    import torch
    from PIL import Image as Images

    small = picture.copy()
    small.thumbnail((edge, edge), Images.Resampling.LANCZOS)
    bare = Images.frombytes("RGB", small.size, small.tobytes())
    return torch.from_numpy(np.frombuffer(encode(bare), dtype=np.uint8).copy())


def encode(picture: Image) -> bytes:
    """Encode an RGB picture for a page: a small one as PNG, others as WebP or, without it, JPEG."""
    from PIL import features

    stream = io.BytesIO()
    if max(picture.size) <= SMALL:
        picture.save(stream, "PNG", optimize=True)
    elif features.check("webp"):
        picture.save(stream, "WEBP", quality=QUALITY, method=4)
    else:
        picture.save(stream, "JPEG", quality=QUALITY, optimize=True)
    return stream.getvalue()


def _address(data: bytes) -> str:
    kinds = {b"\x89PNG": "png", b"RIFF": "webp"}
    return f"data:image/{kinds.get(data[:4], 'jpeg')};base64,{base64.b64encode(data).decode()}"
