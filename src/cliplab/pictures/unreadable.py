"""What is wrong with a picture that cannot be read, in a few words that a person understands."""

from __future__ import annotations

import re

from cliplab.runtime.errors import DataError

HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
NOT_PICTURES = (
    (b"%PDF-", "a PDF file, not a picture"),
    (b"%!PS", "a PostScript drawing; save it as PNG"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript drawing; save it as PNG"),
    (b"version https://git-lfs", "a Git LFS pointer, not the picture itself; run `git lfs pull`"),
    (b"PK\x03\x04", "a ZIP archive, not a picture"),
    (b"\x1f\x8b", "a gzip archive, not a picture"),
    (b"Rar!", "a RAR archive, not a picture"),
)
_MARKUP = re.compile(r"<(!doctype|!--|\?xml|html|head|body|script|svg|error)")
_TRUNCATED = re.compile(
    "truncated|not enough image data|unexpected end|broken data stream|buffer is not large"
    "|got header but not the first frame|premature end",
    re.IGNORECASE,
)
LONGEST_QUOTE = 120  # characters of Pillow's own words


class UnreadablePicture(DataError):
    """Bytes that are no picture, or not a whole one; `reason` says why in a few words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def too_large(found: str, max_pixels: int) -> UnreadablePicture:
    """Refuse a picture of more pixels than the limit; the message says how to raise it."""
    return UnreadablePicture(
        f"{found}: more than the limit of {max_pixels:,} pixels (--max-pixels raises it)"
    )


def reason_for(data: bytes, error: Exception) -> str:
    """Say in a few words why `data` did not decode; the same bytes always give the same words.

    Parameters
    ----------
    data
        The whole file.
    error
        What Pillow raised, of whatever kind.
    """
    if named := what_it_is(data):
        return named
    if isinstance(error, MemoryError):
        return "not enough memory to decode it"
    kind, said = type(error).__name__, " ".join(str(error).split())
    if kind == "UnidentifiedImageError":
        return "not in a picture format that can be read, or its header is damaged"
    if _TRUNCATED.search(said):
        return "truncated: the file ends before the picture does"
    # An address differs from run to run, and reasons are kept beside the vectors.
    said = re.sub(r"<[^<>]* at 0x[0-9a-f]+>", "the file", said)[:LONGEST_QUOTE]
    return f"damaged: {said or kind}"


def what_it_is(data: bytes) -> str | None:
    """Name a file that is no picture at all: empty, a web page, a drawing, an archive, a film."""
    if not data:
        return "empty file"
    if not data.strip(b"\0"):
        return "nothing but zero bytes"
    if named := _named_markup(data):
        return named
    for start, name in NOT_PICTURES:
        if data.startswith(start):
            return name
    if data[4:8] == b"ftyp" and data[8:12] not in (b"avif", b"avis"):
        if data[8:12] in HEIF_BRANDS:
            return "a HEIC picture, which Pillow does not read; save it as JPEG or PNG"
        return "a film, not a picture"
    return None


def _named_markup(data: bytes) -> str | None:
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    text = data[:2048].decode("utf-16" if wide else "utf-8-sig", errors="ignore").lstrip().lower()
    if not _MARKUP.match(text):
        return None
    if "<svg" in text:
        html, svg = text.find("<html"), text.find("<svg")
        if html < 0 or svg < html:
            return "an SVG drawing; save it as PNG"
    if text.startswith(("<?xml", "<error")) and "<html" not in text:
        return "an XML file, not a picture"
    return "an HTML page, not a picture (a download that failed?)"
