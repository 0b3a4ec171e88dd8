"""Decoding over real files: hundreds of photos, and the odd ones that break decoders."""

from __future__ import annotations

import csv
import io
import random
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageChops

from cliplab.pictures.decode import decode, what_is_wrong
from cliplab.pictures.unreadable import UnreadablePicture


def manifest(folder):
    with (folder / "manifest.tsv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def outcome(data):
    try:
        picture = decode(data)
    except UnreadablePicture as error:
        return error.reason
    assert picture.mode == "RGB"
    return picture.size, picture.tobytes()


def test_odd_pictures_decode_or_say_why(shared_data, capfd):
    folder = shared_data / "odd_images"
    rows = manifest(folder)
    files = [(folder / row["path"]).read_bytes() for row in rows]
    found = [outcome(data) for data in files]
    for row, result in zip(rows, found, strict=True):
        readable = row["Pillow13_result"].startswith("ok")
        assert readable == (not isinstance(result, str)), (row["path"], result)
    unreadable = [result for result in found if isinstance(result, str)]
    assert (len(found) - len(unreadable), len(unreadable)) == (159, 20)
    assert all(unreadable)
    with ThreadPoolExecutor(8) as pool:  # and the same in many threads at once
        assert list(pool.map(outcome, files)) == found
    assert capfd.readouterr() == ("", "")  # libtiff writes past Python


def test_landscapes_of_every_orientation_look_the_same(shared_data):
    for stem, names in (
        ("exif_orientation", ("Landscape_0", "Landscape_1", "Landscape_3", "Landscape_4")),
        ("sharp", ("Landscape_1", "Landscape_3", "Landscape_5", "Landscape_8")),
    ):
        files = [shared_data / "odd_images" / stem / f"{name}.jpg" for name in names]
        first, *others = [decode(file.read_bytes()).resize((32, 24)) for file in files]
        for other in others:  # each has its own number in the middle; one is a second photo
            difference = np.asarray(ImageChops.difference(first, other)).mean()
            assert difference < 20, (stem, difference)  # turned the wrong way, it is over 35


def test_lab_cmyk_and_sixteen_bits_look_like_the_same_picture_in_rgb(shared_data):
    folder = shared_data / "odd_images" / "pillow" / "Tests" / "images"
    hopper = decode((folder / "hopper.png").read_bytes())
    lab = decode((folder / "hopper.Lab.tif").read_bytes())
    assert np.asarray(ImageChops.difference(hopper, lab)).mean() < 4
    deep = decode((folder / "hopper_16bit.pgm").read_bytes())
    assert np.asarray(ImageChops.difference(hopper.convert("L"), deep.convert("L"))).mean() < 4
    cmyk = decode((folder / "tiff_strip_cmyk_16l_jpeg.tif").read_bytes())
    red = np.asarray(cmyk.resize((1, 1)))[0, 0]
    assert red[0] > 2 * red[1]


def plain(data: bytes) -> Image.Image | None:
    """The picture as Pillow opens it, if it is upright 8-bit RGB or grey."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            picture = Image.open(io.BytesIO(data))
            picture.load()
            turned = picture.getexif().get(0x0112, 1) not in (0, 1)
        except Exception:
            return None
        if picture.mode not in ("RGB", "L") or turned or picture.has_transparency_data:
            return None
        return picture.convert("RGB")


def check_as_pillow(files):
    compared = 0
    for file in files:
        data = file.read_bytes()
        given = plain(data)
        if given is not None:
            assert decode(data).tobytes() == given.tobytes(), file
            compared += 1
    return compared


def pictures_under(shared_data):
    folders = ("caltech101", "pacs", "clip/golden", "odd_images")
    kept = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".gif", ".webp", ".pgm", ".tga", ".bmp")
    files = [f for folder in folders for f in sorted((shared_data / folder).rglob("*"))]
    return [f for f in files if f.suffix.lower() in kept]


def test_upright_rgb_and_grey_files_are_what_pillow_gives(shared_data):
    files = pictures_under(shared_data)
    assert check_as_pillow(random.Random(0).sample(files, 150)) > 100


@pytest.mark.slow
def test_all_upright_rgb_and_grey_files_are_what_pillow_gives(shared_data):
    assert check_as_pillow(pictures_under(shared_data)) > 700


def reason_of(data):
    found = outcome(data)
    return found if isinstance(found, str) else None


def test_the_quick_look_finds_what_decoding_does_in_odd_pictures(shared_data):
    folder = shared_data / "odd_images"
    files = [(folder / row["path"]).read_bytes() for row in manifest(folder)]
    assert [what_is_wrong(data) for data in files] == [reason_of(data) for data in files]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0, "quality": 95}])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_the_quick_look_finds_what_decoding_does_in_jpegs_cut_or_damaged(mode, options):
    pixels = np.random.default_rng(3).integers(0, 256, (97, 203, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, "JPEG", **options)
    whole, chance = stream.getvalue(), random.Random(5)
    assert what_is_wrong(whole) is None
    bad = [whole[: chance.randrange(2, len(whole) - 2)] for _ in range(30)]
    for _ in range(30):
        damaged = bytearray(whole)
        for _ in range(chance.choice((1, 30))):
            damaged[chance.randrange(len(whole))] = chance.randrange(256)
        bad.append(bytes(damaged))
    assert [what_is_wrong(data) for data in bad] == [reason_of(data) for data in bad]
    assert sum(what_is_wrong(data) is not None for data in bad) >= 30


def test_the_quick_look_keeps_to_the_limit_of_pixels(shared_data):
    data = (shared_data / "odd_images/exif_orientation/Landscape_0.jpg").read_bytes()
    assert what_is_wrong(data) is None
    assert "more than the limit of 1,000 pixels" in what_is_wrong(data, max_pixels=1000)
