from __future__ import annotations

import io

import pytest
from PIL import Image, UnidentifiedImageError

from cliplab.pictures.decode import decode
from cliplab.pictures.unreadable import UnreadablePicture, reason_for
from cliplab.runtime.errors import DataError


def reason(data: bytes) -> str:
    with pytest.raises(UnreadablePicture) as caught:
        decode(data)
    assert isinstance(caught.value, DataError)
    assert str(caught.value) == caught.value.reason
    return caught.value.reason


@pytest.mark.parametrize(
    "page",
    [
        b"<!DOCTYPE html><html><body>404</body></html>",
        b"\xef\xbb\xbf \r\n\t<!doctype HTML>",
        b"<html lang='en'><svg></svg></html>",
        b"<!-- made by hand --><html>",
        "<!DOCTYPE html><html>".encode("utf-16"),
        b'<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0//EN"><html>',
    ],
)
def test_a_web_page_is_named_as_such(page):
    assert reason(page).startswith("an HTML page, not a picture")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty file"),
        (b"\0" * 5000, "nothing but zero bytes"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b'<?xml version="1.0"?><!-- Inkscape -->\n<svg/>', "an SVG drawing"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML file"),
        (b"%PDF-1.7\n", "a PDF file"),
        (b"%!PS-Adobe-3.0\n", "a PostScript drawing"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "a drawing in EPS format"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        (b"PK\x03\x04" + b"\1" * 40, "a ZIP archive"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC picture"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "a film"),
        (b"just some words, no picture at all", "not in a picture format"),
    ],
)
def test_what_is_no_picture_is_named(data, words):
    assert words in reason(data)


def test_a_truncated_picture_says_so():
    stream = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(stream, "PNG")
    assert reason(stream.getvalue()[:1500]).startswith("truncated")
    stream = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(stream, "JPEG")
    assert reason(stream.getvalue()[:1000]).startswith("truncated")


def test_reasons_hold_no_addresses_so_that_they_repeat():
    error = OSError("cannot load <_io.BytesIO object at 0x7f00dead> here")
    assert reason_for(b"x", error) == "damaged: cannot load the file here"
    assert "0x" not in reason_for(b"x", UnidentifiedImageError("<_io.BytesIO object at 0x7f>"))


def test_reasons_are_short_and_never_empty():
    assert len(reason_for(b"x", ValueError("word " * 1000))) < 140
    assert reason_for(b"x", IndexError()) == "damaged: IndexError"
    assert reason_for(b"x", MemoryError()) == "not enough memory to decode it"
