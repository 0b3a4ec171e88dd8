"""Pictures of one known content in every mode that Pillow has, and what is seen of them."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from cliplab.pictures.decode import decode, without_text

RAMP = np.linspace(0, 1, 64).reshape(8, 8)  # black to white


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def grey(data: bytes) -> np.ndarray:
    picture = decode(data)
    assert picture.mode == "RGB"
    pixels = np.asarray(picture).astype(int)
    assert (pixels[..., :1] == pixels).all()
    return pixels[..., 0]


def png(size, bits, colour, rows: list[bytes], *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG by hand: Pillow writes neither 2 bits nor 16-bit transparency."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    middle = b"".join(chunk(*c) for c in chunks)
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return head + middle + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def tiff16(values: np.ndarray, **tags) -> bytes:
    return encoded(Image.fromarray(values.astype(np.uint16)), "TIFF", **tags)


EIGHT = np.round(RAMP * 255).astype(int)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_sixteen_bits_are_scaled_not_clipped(kind):
    deep = Image.fromarray(np.round(RAMP * 65535).astype(np.uint16))
    assert np.abs(grey(encoded(deep, kind)) - EIGHT).max() <= 1


def test_a_dark_sixteen_bit_png_stays_dark():
    deep = Image.fromarray(np.round(RAMP * 4095).astype(np.uint16))
    assert grey(encoded(deep, "PNG")).max() == 16


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_a_tiff_of_fewer_bits_in_sixteen_is_seen(bits):
    assert np.abs(grey(tiff16(RAMP * (2**bits - 1))) - EIGHT).max() <= 1


def test_a_tiff_whose_zero_is_white_is_not_a_negative():
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    plain = Image.open(io.BytesIO(tiff16(RAMP * 65535)))
    assert plain.tag_v2[262] == 1
    data = tiff16((1 - RAMP) * 65535, tiffinfo=tags)
    entry = struct.pack("<HHI", 262, 3, 1) + struct.pack("<I", 1)
    assert data.count(entry) == 1
    inverted = data.replace(entry, struct.pack("<HHI", 262, 3, 1) + struct.pack("<I", 0))
    assert np.abs(grey(inverted) - EIGHT).max() <= 1


def test_signed_and_wide_integers_span_black_to_white():
    for values in (RAMP * 40000 - 20000, RAMP * 2e9, RAMP * 65535):
        data = encoded(Image.fromarray(np.round(values).astype(np.int32)), "TIFF")
        assert np.abs(grey(data) - EIGHT).max() <= 1


@pytest.mark.parametrize("values", [RAMP, RAMP * 255, RAMP * 3e5 - 7])
def test_floats_span_black_to_white(values):
    data = encoded(Image.fromarray(values.astype(np.float32)), "TIFF")
    assert np.abs(grey(data) - EIGHT).max() <= 1


def test_floats_within_0_and_1_are_not_stretched_and_nan_is_black():
    values = (RAMP * 0.5).astype(np.float32)
    values[0, 0] = np.nan
    seen = grey(encoded(Image.fromarray(values), "TIFF"))
    assert (seen[0, 0], seen.max()) == (0, 128)


def test_floats_that_are_not_finite_do_not_spoil_the_rest():
    values = (RAMP * 1000).astype(np.float32)
    values[0, :2] = np.inf, -np.inf
    seen = grey(encoded(Image.fromarray(values), "TIFF"))
    assert (seen[0, 0], seen[0, 1], seen[7, 7]) == (255, 0, 255)
    assert grey(encoded(Image.fromarray(np.full((2, 2), np.nan, np.float32)), "TIFF")).max() == 0


RED_HALF = [(255, 0, 0, 255), (255, 0, 0, 128), (0, 0, 0, 0)]
SEEN_HALF = [(255, 0, 0), (255, 127, 127), (255, 255, 255)]


def test_alpha_lies_over_white():
    picture = Image.new("RGBA", (3, 1))
    picture.putdata(RED_HALF)
    for kind in ("PNG", "TIFF", "TGA"):
        seen = np.asarray(decode(encoded(picture, kind))).astype(int)
        assert np.abs(seen[0] - SEEN_HALF).max() <= 1, kind
    lossless = decode(encoded(picture, "WEBP", lossless=True, exact=True))
    assert np.abs(np.asarray(lossless).astype(int)[0] - SEEN_HALF).max() <= 1


def test_premultiplied_alpha_is_divided_out():
    picture = Image.new("RGBA", (3, 1))
    picture.putdata(RED_HALF)
    data = encoded(picture, "TIFF")
    straight, premultiplied = struct.pack("<HHII", 338, 3, 1, 2), struct.pack("<HHII", 338, 3, 1, 1)
    assert data.count(straight) == 1
    data = data.replace(straight, premultiplied)
    data = data.replace(bytes((255, 0, 0, 128)), bytes((128, 0, 0, 128)))
    assert np.abs(np.asarray(decode(data)).astype(int)[0] - SEEN_HALF).max() <= 2


def test_premultiplied_grey_is_divided_out():
    picture = Image.new("LA", (2, 1))
    picture.putdata([(100, 255), (50, 128)])
    data = encoded(picture, "TIFF")
    straight, premultiplied = struct.pack("<HHII", 338, 3, 1, 2), struct.pack("<HHII", 338, 3, 1, 1)
    for kind in (straight, struct.pack("<HHII", 338, 3, 1, 0)):
        data = data.replace(kind, premultiplied)
    assert Image.open(io.BytesIO(data)).mode == "La"
    assert np.abs(grey(data) - [[100, 177]]).max() <= 1


def test_grey_with_alpha_lies_over_white():
    picture = Image.new("LA", (3, 1))
    picture.putdata([(0, 255), (0, 128), (0, 0)])
    assert grey(encoded(picture, "PNG")).tolist() == [[0, 127, 255]]


@pytest.mark.parametrize("transparency", [1, b"\xff\x00\xff"])
def test_a_transparent_palette_entry_is_white(transparency):
    picture = Image.new("P", (3, 1))
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    picture.putdata([0, 1, 2])
    seen = np.asarray(decode(encoded(picture, "PNG", transparency=transparency)))
    assert seen.tolist() == [[[10, 20, 30], [255, 255, 255], [70, 80, 90]]]


def test_half_transparent_palette_entries_are_mixed_with_white():
    picture = Image.new("P", (1, 1))
    picture.putpalette([0, 0, 0])
    assert grey(encoded(picture, "PNG", transparency=b"\x80")).tolist() == [[127]]


def test_the_transparent_colour_of_a_gif_is_white():
    picture = Image.new("P", (2, 1))
    picture.putpalette([9, 9, 9, 200, 0, 0])
    picture.putdata([0, 1])
    seen = np.asarray(decode(encoded(picture, "GIF", transparency=0)))
    assert seen.tolist() == [[[255, 255, 255], [200, 0, 0]]]


@pytest.mark.parametrize(
    ("bits", "row", "transparent", "seen"),
    [
        (1, b"\x40", 1, [0, 255, 0, 0]),
        (2, b"\x1b", 1, [0, 255, 170, 255]),
        (4, b"\x05\xaf", 5, [0, 255, 170, 255]),
        (8, b"\x00\x55\xaa\xff", 0x55, [0, 255, 170, 255]),
        (16, b"\x00\x00\x55\x55\xaa\xaa\xff\xff", 0x5555, [0, 255, 170, 255]),
    ],
)
def test_the_transparent_grey_of_a_png_is_white_at_every_depth(bits, row, transparent, seen):
    data = png((4, 1), bits, 0, [row], (b"tRNS", struct.pack(">H", transparent)))
    assert grey(data).tolist() == [seen]


def test_the_transparent_colour_of_an_rgb_png_is_white():
    shallow = png((2, 1), 8, 2, [b"\1\2\3\4\5\6"], (b"tRNS", b"\0\1\0\2\0\3"))
    assert np.asarray(decode(shallow)).tolist() == [[[255, 255, 255], [4, 5, 6]]]
    row = struct.pack(">6H", 0x1234, 0x2345, 0x3456, 0x7700, 0x8800, 0x9900)
    deep = png((2, 1), 16, 2, [row], (b"tRNS", row[:6]))
    assert np.asarray(decode(deep)).tolist() == [[[255, 255, 255], [0x77, 0x88, 0x99]]]


def test_one_bit_is_black_and_white():
    picture = Image.new("1", (2, 1))
    picture.putdata([0, 255])
    assert grey(encoded(picture, "PNG")).tolist() == [[0, 255]]
    assert grey(encoded(picture, "TIFF", compression="group4")).tolist() == [[0, 255]]


def test_cmyk_is_not_inverted():
    picture = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    for kind in ("JPEG", "TIFF"):
        red, green, blue = np.asarray(decode(encoded(picture, kind)))[8, 8].astype(int)
        assert red > 240, kind
        assert max(green, blue) < 15, kind


def test_lab_has_the_colours_that_it_means():
    # CIE Lab of sRGB's primaries under D50, a and b kept with 128 added.
    picture = Image.new("LAB", (3, 1))
    points = [(54, 81, 70), (88, -79, 81), (30, 68, -112)]
    picture.putdata([(round(light * 2.55), a + 128, b + 128) for light, a, b in points])
    seen = np.asarray(decode(encoded(picture, "TIFF"))).astype(int)[0]
    assert np.abs(seen - np.eye(3, dtype=int) * 255).max() < 30


CORNERS = np.zeros((24, 16, 3), dtype=np.uint8)
CORNERS[:8, :8], CORNERS[:8, 8:], CORNERS[16:, :8] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
TURNED_AWAY = {  # orientation → how the stored pixels differ from the upright ones
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", TURNED_AWAY)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_each_exif_orientation_becomes_upright(kind, orientation):
    upright = Image.fromarray(CORNERS)
    turn = TURNED_AWAY[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    options |= {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    seen = np.asarray(decode(encoded(stored, kind, exif=exif, **options))).astype(int)
    assert seen.shape == CORNERS.shape
    assert np.abs(seen - CORNERS).max() <= 3


def test_damaged_exif_does_not_cost_the_picture():
    data = encoded(Image.fromarray(CORNERS), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xffgarbage")
    assert decode(data).size == (16, 24)


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "lime", "blue")]
    for kind, options in (("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert np.asarray(decode(data))[0, 0].tolist() == [255, 0, 0], kind


def test_megabytes_of_notes_in_a_png_do_not_cost_the_picture():
    notes = b"Comment\0\0" + zlib.compress(b"a" * 3_000_000)
    data = png((1, 1), 8, 0, [b"\x07"], (b"zTXt", notes))
    assert grey(data).tolist() == [[7]]
    assert b"zTXt" not in without_text(data)
    assert without_text(without_text(data)) == without_text(data)


def test_upright_rgb_and_grey_are_what_pillow_gives():
    noise = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    for picture in (Image.fromarray(noise), Image.fromarray(noise[..., 0])):
        for kind in ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF" if picture.mode == "L" else "PPM"):
            data = encoded(picture, kind)
            given = Image.open(io.BytesIO(data)).convert("RGB")
            assert decode(data).tobytes() == given.tobytes(), (kind, picture.mode)
