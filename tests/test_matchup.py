"""Which pictures are held against which: of the same classes, as many, of one size, none twice."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tests.digit_drawings import digit_pixels, write_digits

from cliplab.datasets.family import open_dataset
from cliplab.matchup import Reading, class_key, match_up
from cliplab.runtime.errors import DataError


@pytest.fixture(scope="module")
def digits():
    return open_dataset("digits").dataset


@pytest.fixture
def reading(home):
    return Reading(home / "pixels", None, "list")


@pytest.fixture
def drawings(tmp_path):
    return write_digits(tmp_path / "drawn.npz", lambda c: digit_pixels(c, "train", 15))


def matched(drawings, digits, reading, n=12, seed=0):
    return match_up(drawings, digits, digits.task(), n=n, seed=seed, reading=reading)


def test_as_many_of_each_class_on_every_side(drawings, digits, reading):
    found = matched(drawings, digits, reading)
    assert np.bincount(found.drawn.labels).tolist() == [12] * 10
    for half in found.halves:
        assert np.bincount(half.labels).tolist() == [12] * 10
        assert half.pixels.shape == (120, 1, 8, 8)
    ids = [set(half.ids) for half in found.halves]
    assert not ids[0] & ids[1]
    test = set(digits.ids[digits.splits["digit"] == "test"])
    assert ids[0] | ids[1] <= test
    assert len(found.training_labels) == len(digits.rows("digit", "train"))
    assert found.left_out == ()
    assert found.held_out.labels.shape == (240,)


def test_drawings_are_the_first_of_each_class_as_they_are(drawings, digits, reading):
    found = matched(drawings, digits, reading)
    for number, name in enumerate(digits.task().class_names):
        own = found.drawn.labels == number
        assert (found.drawn.pixels[own, 0] == digit_pixels(number, "train", 12)).all()
        assert all(str(one).startswith(f"{name}/") for one in found.drawn.ids[own])


def test_the_seed_says_which_are_held_out(drawings, digits, reading):
    first, again, other = (matched(drawings, digits, reading, seed=s) for s in (0, 0, 1))
    assert first.held_out.ids.tolist() == again.held_out.ids.tolist()
    assert first.held_out.ids.tolist() != other.held_out.ids.tolist()


def test_few_held_out_pictures_make_smaller_halves(drawings, digits, reading):
    splits = digits.splits["digit"].copy()
    three = np.flatnonzero((digits.labels["digit"] == 3) & (splits == "test"))
    splits[three[7:]] = ""
    splits[three[:2]] = "validation"  # is held out as well
    few = dataclasses.replace(digits, splits={"digit": splits})
    found = matched(drawings, few, reading)
    for half in found.halves:
        assert np.bincount(half.labels)[3] == 3
    splits[three[3:]] = ""
    with pytest.raises(DataError, match=r"Too few.*'three' \(3 held-out pictures\).*2 drawings"):
        matched(drawings, dataclasses.replace(digits, splits={"digit": splits}), reading)


def test_classes_are_matched_by_name(tmp_path, digits, reading):
    arrays = {name: 255 - digit_pixels(1, "train", 4) for name in ("TWO", "nine")}
    np.savez(tmp_path / "two.npz", **arrays)
    found = matched(open_dataset(tmp_path / "two.npz").dataset, digits, reading)
    assert np.unique(found.drawn.labels).tolist() == [2, 9]
    assert found.left_out[:2] == ("zero", "one")
    assert len(found.left_out) == 8
    np.savez(tmp_path / "ten.npz", ten=arrays["TWO"], two=arrays["TWO"])
    with pytest.raises(DataError, match=r"'digits' does not have: 'ten'.*one folder a class"):
        matched(open_dataset(tmp_path / "ten.npz").dataset, digits, reading)


def test_names_of_folders_and_words_are_the_same():
    assert class_key("The_Mona_Lisa") == class_key("the mona  lisa")
    assert class_key("n/a") == class_key("N-A")


def test_light_on_black_beside_dark_on_white_is_refused(tmp_path, digits, reading):
    """A file of arrays is opened as dark on white; digits are light on black."""
    drawn = write_digits(
        tmp_path / "light.npz", lambda c: digit_pixels(c, "train", 5), inverted=True
    )
    with pytest.raises(DataError, match="dark lines on white, the real ones light lines on black"):
        matched(drawn, digits, reading)


def test_larger_drawings_are_brought_to_the_data_sets_size(tmp_path, digits, reading):
    large = write_digits(
        tmp_path / "large.npz",
        lambda c: digit_pixels(c, "train", 5).repeat(4, axis=1).repeat(4, axis=2),
    )
    found = matched(large, digits, reading)
    assert found.training.shape == (1, 8, 8)
    own = found.drawn.labels == 4
    assert (found.drawn.pixels[own, 0] == digit_pixels(4, "train", 5)).all()
