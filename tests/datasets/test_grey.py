"""Grey pixels as PNG, the same bytes everywhere."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from cliplab.datasets.grey import grey_png, png_size


@pytest.mark.parametrize("shape", [(8, 8), (1, 1), (3, 300), (200, 400), (255, 256), (300, 512)])
def test_any_grey_pixels_come_back_and_the_size_is_known_before(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    content = grey_png(pixels)
    Image.open(io.BytesIO(content)).verify()
    picture = Image.open(io.BytesIO(content))
    assert (picture.mode, picture.format) == ("L", "PNG")
    assert np.array_equal(np.asarray(picture), pixels)
    assert len(content) == png_size(*shape)


def test_pixels_need_not_lie_one_after_another_in_memory():
    pixels = np.random.default_rng(0).integers(0, 256, (12, 14), dtype=np.uint8)
    assert grey_png(pixels[::2, ::2]) == grey_png(pixels[::2, ::2].copy())


def test_the_bytes_are_what_they_were_in_the_first_version():
    pixels = (np.arange(28 * 28) % 256).astype(np.uint8).reshape(28, 28)
    assert hashlib.sha256(grey_png(pixels)).hexdigest() == (
        "ca77f8f0a4e21520f3c676566d0b34afe9cdc2ad5131a0c577eece2f17030d6e"
    )
