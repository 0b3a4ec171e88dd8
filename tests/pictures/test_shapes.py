"""Sizes and contrast of pictures, in order, with gaps where they cannot be read."""

from __future__ import annotations

import io
from functools import partial

import numpy as np
from PIL import Image

from cliplab.pictures.shapes import shapes


class Source:
    def __init__(self, contents):
        self.contents = contents

    def open(self, rows):
        for row in rows:
            yield partial(self.contents.__getitem__, row)


def png(pixels) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_width_height_and_contrast_in_the_order_asked_for():
    flat = np.full((20, 300, 3), 90, dtype=np.uint8)
    halves = np.zeros((40, 40, 3), dtype=np.uint8)
    halves[:20] = 200
    source = Source([png(flat), b"<html>", png(halves)])
    counted = []
    found = shapes(source, np.array([2, 1, 0]), workers=2, advance=counted.append)
    assert found[0].tolist() == [40, 40, 100]
    assert np.isnan(found[1]).all()
    assert found[2].tolist() == [300, 20, 0]
    assert sum(counted) == 3
    assert np.isnan(shapes(source, np.array([2]), max_pixels=100)).all()
