"""The conveniences of an encoder: pictures in any form, similarity, texts."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from cliplab.encoders.open_clip import load_encoder
from cliplab.pictures.decode import decode
from cliplab.runtime.errors import MissingWeights


@pytest.fixture(scope="module")
def encoder(tiny_folder):
    return load_encoder(tiny_folder("vit"), device="cpu")


def encoded(picture: Image.Image, kind: str = "PNG", **more) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format=kind, **more)
    return stream.getvalue()


def test_paths_bytes_and_pictures_are_the_same(encoder, pictures, tmp_path):
    expected = encoder.encode_images(pictures)
    assert expected.shape == (3, encoder.width)
    assert expected.dtype == np.float32
    files = []
    for n, picture in enumerate(pictures):
        files.append(tmp_path / f"{n}.png")
        files[-1].write_bytes(encoded(picture))
    for given in (files, [str(f) for f in files], [f.read_bytes() for f in files]):
        assert np.array_equal(encoder.encode_images(given), expected)


def odd_pictures() -> dict[str, bytes]:
    rng = np.random.default_rng(1)
    rgba = rng.integers(0, 256, (40, 50, 4), dtype=np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by a quarter
    rgb = Image.fromarray(rgba[..., :3])
    return {
        "alpha": encoded(Image.fromarray(rgba)),
        "grey with alpha": encoded(Image.fromarray(rgba).convert("LA")),
        "palette": encoded(rgb.convert("P")),
        "transparent palette": encoded(rgb.convert("P"), transparency=3),
        "CMYK": encoded(rgb.convert("CMYK"), "TIFF"),
        "turned JPEG": encoded(rgb, "JPEG", exif=turned),
        "turned PNG with alpha": encoded(Image.fromarray(rgba), exif=turned),
        "16 bits": encoded(Image.fromarray(rgba[..., 0].astype(np.uint16) * 257)),
    }


@pytest.mark.parametrize("name", odd_pictures())
def test_an_opened_picture_is_seen_as_its_file_is(encoder, name):
    data = odd_pictures()[name]
    expected = encoder.encode_images([decode(data)])
    for given in (data, Image.open(io.BytesIO(data))):
        assert np.array_equal(encoder.encode_images([given]), expected)
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    naive = encoder.encode_images([Image.fromarray(pixels)])
    if "turned" in name or "alpha" in name:
        assert not np.allclose(naive, expected, atol=1e-4)


def test_many_pictures_go_in_blocks(encoder, pictures, monkeypatch):
    expected = encoder.encode_images(pictures)
    monkeypatch.setattr("cliplab.encoders.encoder.BATCH", 2)
    np.testing.assert_allclose(encoder.encode_images(pictures), expected, rtol=1e-5, atol=1e-5)
    assert encoder.encode_images([]).shape == (0, encoder.width)


@pytest.mark.parametrize("kind", ["vit", "siglip"])
def test_similarity_is_a_softmax_of_scaled_cosines(tiny_folder, pictures, kind):
    encoder = load_encoder(tiny_folder(kind), device="cpu")
    captions = ["a dog", "a cat", "a diagram", "nothing"]
    found = encoder.similarity(pictures, captions)
    assert found.shape == (3, 4)
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-6)
    images = torch.tensor(encoder.encode_images(pictures))
    texts = torch.tensor(encoder.encode_texts(captions))
    cosines = torch.nn.functional.cosine_similarity(images[:, None], texts[None], dim=-1)
    expected = (encoder.logit_scale * cosines).softmax(dim=1)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_long_texts_are_cut_off_at_their_end(encoder):
    words = "one two three four five six seven eight nine ten"  # twelve tokens with their ends
    first, second, other = encoder.encode_texts([words, f"{words} eleven twelve", "one two"])
    assert np.array_equal(first, second)
    assert not np.allclose(first, other)
    assert encoder.encode_texts([]).shape == (0, encoder.width)


def test_a_tokenizer_out_of_reach_says_what_can_be_done(tiny_folder, monkeypatch):
    import open_clip

    def fail(*_args, **_more):
        raise OSError("no such host")

    monkeypatch.setattr(open_clip, "get_tokenizer", fail)
    encoder = load_encoder(tiny_folder("vit"), device="cpu")
    with pytest.raises(MissingWeights, match=r"no such host.*--classifier linear_probe"):
        encoder.encode_texts(["a dog"])


def test_its_repr_says_what_it_is(encoder):
    assert repr(encoder) == f"<{encoder.name}: 24 wide, 32 pixels, fp32>"
