"""Which tokens of a drawing stay, whatever its paper; and which pictures are refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw
from tests.tiny_tokenizer import make_tokenizer

from cliplab.runtime.errors import DataError, UnknownName, UsageError
from cliplab.tokenizers import completing
from cliplab.tokenizers.completing import kept_tokens, knows_light_paper
from cliplab.tokenizers.opening import load_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return load_tokenizer(make_tokenizer(tmp_path_factory.mktemp("tokenizer") / "t"))


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """Three by three tokens."""
    return load_tokenizer(make_tokenizer(tmp_path_factory.mktemp("tokenizer") / "t", size=6))


@pytest.fixture
def drawing(tmp_path):
    """Black ink on white paper, 80x80."""
    picture = Image.new("L", (80, 80), 255)
    ImageDraw.Draw(picture).line([(10, 10), (60, 70), (70, 20)], fill=0, width=6)
    picture.save(tmp_path / "drawing.png")
    return tmp_path / "drawing.png"


HALVES = {
    "top": np.s_[:2],
    "bottom": np.s_[-2:],
    "left": np.s_[:, :2],
    "right": np.s_[:, -2:],
}


@pytest.mark.parametrize("keep", HALVES)
@pytest.mark.parametrize("which", ["tokenizer", "odd"])
def test_a_half_stays_and_the_rest_is_open(which, keep, drawing, request):
    made = request.getfixturevalue(which)
    found = kept_tokens(made, drawing, keep)
    assert found.shape == made.grid
    stays = np.zeros(made.grid, dtype=bool)
    stays[HALVES[keep]] = True
    assert (found[~stays] == -1).all()
    assert (found[stays] >= 0).all()
    assert len({int(found[0, 0]), int(found[-1, -1]), *found[stays].tolist()}) > 1


def test_the_paper_s_tone_and_the_ink_s_strength_do_not_matter(tokenizer, drawing, tmp_path):
    pixels = np.asarray(Image.open(drawing))
    expected = kept_tokens(tokenizer, drawing, "top")
    for name, tones in (("dark", 255 - pixels), ("faint", 255 - (255 - pixels) // 4)):
        Image.fromarray(tones).save(tmp_path / f"{name}.png")
        assert np.array_equal(kept_tokens(tokenizer, tmp_path / f"{name}.png", "top"), expected)
    clear = np.dstack([np.zeros_like(pixels)] * 3 + [255 - pixels])  # ink on nothing
    Image.fromarray(clear).save(tmp_path / "clear.png")
    assert np.array_equal(kept_tokens(tokenizer, tmp_path / "clear.png", "top"), expected)


@pytest.mark.parametrize("light", [True, False])
def test_a_drawing_is_brought_to_the_paper_that_the_tokenizer_knows(
    light, tokenizer, drawing, monkeypatch
):
    seen = []
    real = tokenizer.encode
    monkeypatch.setattr(completing, "knows_light_paper", lambda _t: light)
    monkeypatch.setattr(tokenizer, "encode", lambda pixels: seen.append(pixels) or real(pixels))
    kept_tokens(tokenizer, drawing, "top")
    (pixels,) = seen
    assert pixels[0, 0, 0, -1] == (255 if light else 0)
    assert pixels.min() == 0
    assert pixels.max() == 255


class Sheets:
    """Gives every picture back as one tone."""

    shape = (1, 4, 4)

    def __init__(self, tone):
        self.tone = tone

    def encode(self, pixels):
        return np.zeros((len(pixels), 1, 1), dtype=np.int64)

    def decode(self, tokens):
        return np.full((len(tokens), *self.shape), self.tone, dtype=np.uint8)


def test_a_tokenizer_gives_its_own_paper_back_best():
    assert knows_light_paper(Sheets(250))
    assert not knows_light_paper(Sheets(10))


def test_pictures_of_the_wrong_kind(tokenizer, tmp_path):
    Image.new("L", (30, 30), 255).save(tmp_path / "blank.png")
    with pytest.raises(DataError, match=r"blank\.png is blank: there is nothing in it"):
        kept_tokens(tokenizer, tmp_path / "blank.png", "top")
    tones = np.linspace(60, 200, 64).astype(np.uint8)
    tones[:8], tones[-8:] = 0, 255
    Image.fromarray(np.tile(tones, (64, 1))).save(tmp_path / "photo.png")
    with pytest.raises(DataError, match=r"no drawing of strokes on plain paper: .*75 % of it"):
        kept_tokens(tokenizer, tmp_path / "photo.png", "top")
    (tmp_path / "page.png").write_text("<html></html>")
    with pytest.raises(DataError, match=r"page\.png cannot be completed: an HTML page"):
        kept_tokens(tokenizer, tmp_path / "page.png", "top")
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(UsageError, match="There is no picture"):
            kept_tokens(tokenizer, path, "top")


def test_an_unknown_half(tokenizer, drawing):
    with pytest.raises(UnknownName, match=r"Unknown side 'botom' of --keep.*'bottom'"):
        kept_tokens(tokenizer, drawing, "botom")


def test_a_tokenizer_of_colour_pictures_takes_any(tmp_path):
    made = load_tokenizer(make_tokenizer(tmp_path / "t", channels=3))
    pixels = np.random.default_rng(0).integers(60, 200, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    assert (kept_tokens(made, tmp_path / "photo.png", "top")[:2] >= 0).all()
