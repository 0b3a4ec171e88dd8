"""Drawings that are kept as they are made: a class at a time, none twice."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from tests.tiny_artist import CLASSES, make_weights

from cliplab.datasets.family import open_dataset
from cliplab.drawing import draw
from cliplab.drawing_requests import DrawConfig
from cliplab.kept_drawings import PriorDrawer, is_drawn, keep_drawings
from cliplab.runtime import shipped
from cliplab.runtime.errors import DataError, UsageError

NAMES = ("cat", "n/a", "The Mona Lisa")


class Hand:
    """Draws each class in a tone of its own, and counts."""

    name, losses = "hand", ()
    class_names = NAMES

    def __init__(self, weights="0", fails_at=None, shape=(1, 6, 6)):
        self.identity = {"weights": weights}
        self.asked, self.fails_at, self.shape = [], fails_at, shape

    def draw(self, class_name, n):
        if class_name == self.fails_at:
            raise KeyboardInterrupt
        self.asked.append(class_name)
        tone = 10 * len(class_name)
        return (
            np.full((n, *self.shape), tone, dtype=np.uint8)
            + np.arange(n, dtype=np.uint8)[:, None, None, None]
        )


def test_they_are_a_data_set_of_files(tmp_path, capsys):
    place = keep_drawings(Hand(), NAMES, 11, tmp_path)
    assert place == tmp_path / "drawings"
    with Image.open(place / "cat" / "03.png") as picture:
        assert (picture.mode, picture.size) == ("L", (6, 6))
        assert np.unique(picture).tolist() == [33]
    found = open_dataset(place).dataset
    assert set(found.task().class_names) == {"cat", "n-a", "The Mona Lisa"}
    assert len(found) == 33
    assert "hand draws 11 of each of 3 classes" in capsys.readouterr().err


def test_colours_too(tmp_path):
    place = keep_drawings(Hand(shape=(3, 6, 5)), NAMES[:1], 2, tmp_path)
    with Image.open(place / "cat" / "1.png") as picture:
        assert (picture.mode, picture.size) == ("RGB", (5, 6))


def test_killed_it_goes_on_with_the_next_class(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        keep_drawings(Hand(fails_at="The Mona Lisa"), NAMES, 3, tmp_path)
    assert not (tmp_path / "drawings" / "The Mona Lisa").exists()
    hand = Hand()
    keep_drawings(hand, NAMES, 3, tmp_path)
    assert hand.asked == ["The Mona Lisa"]
    keep_drawings(hand, NAMES, 3, tmp_path)
    assert hand.asked == ["The Mona Lisa"]


def test_a_class_that_was_cut_off_is_no_class(tmp_path, monkeypatch):
    from cliplab import kept_drawings

    real, written = kept_drawings.write_bytes, []

    def cut(path, content):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(path)
        real(path, content)

    monkeypatch.setattr(kept_drawings, "write_bytes", cut)
    with pytest.raises(KeyboardInterrupt):
        keep_drawings(Hand(), NAMES, 3, tmp_path)
    monkeypatch.setattr(kept_drawings, "write_bytes", real)
    assert not (tmp_path / "drawings" / "cat").exists()
    keep_drawings(Hand(), NAMES, 3, tmp_path)
    assert len(list((tmp_path / "drawings").rglob("*.png"))) == 9


def test_other_drawings_are_not_mixed_in(tmp_path):
    keep_drawings(Hand(), NAMES, 3, tmp_path)
    for other, n in ((Hand(weights="1"), 3), (Hand(), 4)):
        with pytest.raises(UsageError, match=r"by 'hand' with other settings.*--out"):
            keep_drawings(other, NAMES, n, tmp_path)


def test_what_is_no_drawings_is_refused(tmp_path):
    class Few(Hand):
        def draw(self, class_name, n):
            return super().draw(class_name, n - 1)

    with pytest.raises(DataError, match=r"3 pictures of 'cat' were asked for.*\(2, 1, 6, 6\)"):
        keep_drawings(Few(), NAMES, 3, tmp_path)


# ------------------------------------------------------------------------------- priors


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return make_weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def installed(weights, monkeypatch):
    monkeypatch.setattr(shipped, "WEIGHTS", weights.root)


def test_a_prior_draws_its_classes_as_cliplab_draw_does(installed, tmp_path):
    config = DrawConfig(device="cpu", seed=3)
    drawer = PriorDrawer(config)
    assert drawer.name == "quickdraw"
    assert drawer.class_names == CLASSES
    drawn = drawer.draw("cat", 5)
    assert (drawn == draw("a cat", 5, config).pixels).all()
    place = keep_drawings(drawer, ("cat", "The Mona Lisa"), 5, tmp_path)
    with Image.open(place / "cat" / "4.png") as picture:
        assert (np.asarray(picture) == drawn[4, 0]).all()


def test_pictures_go_through_its_tokenizer(installed):
    drawer = PriorDrawer(DrawConfig(device="cpu"))
    tokenizer = drawer.artist.tokenizer
    pixels = np.random.default_rng(0).integers(0, 255, (35, *tokenizer.shape), dtype=np.uint8)
    found = drawer.through_tokenizer(pixels)
    assert (found[20:30] == tokenizer.decode(tokenizer.encode(pixels[20:30]))).all()
    assert found.shape == pixels.shape
    assert drawer.through_tokenizer(pixels[:, :, 1:]) is None


def test_how_it_learned_is_what_the_prior_tells(installed):
    drawer = PriorDrawer(DrawConfig(device="cpu"))
    assert drawer.losses == (3.5, 3.25)


def test_what_changes_the_drawings_is_its_identity(installed):
    same = PriorDrawer(DrawConfig(device="cpu")).identity
    assert PriorDrawer(DrawConfig(device="cpu", memory="4GiB")).identity == same
    others = [
        PriorDrawer(DrawConfig(device="cpu", **changes)).identity
        for changes in ({"seed": 1}, {"guidance": 3.5}, {"decoder": "masked"}, {"top_k": 3})
    ]
    others.append(PriorDrawer(DrawConfig(device="cpu"), "a doodle of a {}").identity)
    assert all(other != same for other in others)


def test_a_prompt_has_a_place_for_the_class_and_nothing_is_chosen(installed):
    with pytest.raises(UsageError, match=r"put \{\} where the class stands"):
        PriorDrawer(DrawConfig(device="cpu"), "a cat")
    with pytest.raises(UsageError, match="as they come, without rerank"):
        PriorDrawer(DrawConfig(device="cpu", rerank="quickdraw"))


def test_a_prior_is_told_from_drawings(weights, tmp_path):
    assert not is_drawn("quickdraw")
    assert not is_drawn(str(weights.prior))
    assert is_drawn(str(tmp_path))
    assert is_drawn("drawings.npz")
