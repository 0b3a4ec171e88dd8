"""Thumbnails: pixels alone, within a budget, the first ones first."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from cliplab.report import thumbnails as module
from cliplab.report.thumbnails import encode, thumbnails


class Source:
    def __init__(self, *pictures: bytes) -> None:
        self.pictures = pictures

    def open(self, rows):
        for row in rows:
            yield lambda row=row: self.pictures[row]


def photo(side: int = 300, mode: str = "JPEG", **more) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (side, 2 * side, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, mode, **more)
    return stream.getvalue()


def opened(address: str) -> Image.Image:
    kind, _, encoded = address.partition(";base64,")
    picture = Image.open(io.BytesIO(base64.b64decode(encoded)))
    assert kind == f"data:image/{picture.format.lower()}"
    return picture


def test_a_picture_is_made_small_and_keeps_its_shape():
    found = thumbnails(Source(photo()), [0], edge=120, budget=10**6)
    assert opened(found[0]).size == (120, 60)


def test_a_small_picture_is_kept_to_the_pixel():
    given = photo(8, "PNG")
    found = opened(thumbnails(Source(given), [0], edge=120, budget=10**6)[0])
    assert found.format == "PNG"
    assert found.convert("RGB").tobytes() == Image.open(io.BytesIO(given)).tobytes()


def test_nothing_but_pixels_comes_over():
    exif = Image.Exif()
    exif[0x010E] = "secret place"
    given = photo(exif=exif, comment=b"secret place", icc_profile=b"secret place" * 20)
    assert b"secret place" in given
    for edge in (40, 120):
        address = thumbnails(Source(given), [0], edge=edge, budget=10**6)[0]
        assert b"secret" not in base64.b64decode(address.partition(",")[2])


def test_the_budget_is_kept_and_the_first_come_first():
    source = Source(*[photo() for _ in range(6)])
    one = len(thumbnails(source, [0], edge=100, budget=10**6)[0])
    found = thumbnails(source, [4, 2, 0, 1], edge=100, budget=3 * one)
    assert list(found) == [4, 2, 0]
    assert sum(map(len, found.values())) <= 3 * one
    assert thumbnails(source, [1], edge=100, budget=one - 1) == {}


def test_what_cannot_be_read_has_none():
    found = thumbnails(Source(b"<svg onload='x()'/>", photo()), [0, 1], edge=100, budget=10**6)
    assert list(found) == [1]


@pytest.mark.parametrize("has_webp", [True, False])
def test_without_webp_it_is_jpeg(monkeypatch, has_webp):
    monkeypatch.setattr("PIL.features.check", lambda _name: has_webp)
    picture = Image.new("RGB", (90, 90), (200, 30, 40))
    assert Image.open(io.BytesIO(encode(picture))).format == ("WEBP" if has_webp else "JPEG")
    assert module.SMALL < 90
