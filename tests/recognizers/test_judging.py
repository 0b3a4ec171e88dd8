"""What a recogniser sees, what teaches it, and which training picture is nearest."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from cliplab.nouns import Pixels
from cliplab.recognizers import judging
from cliplab.recognizers.judging import (
    ChosenPixels,
    HeldPixels,
    evened,
    known_after,
    nearest_training,
    ranks_of,
    seen_by,
)
from cliplab.recognizers.training import RecognizerConfig


class ByTone:
    """A recogniser of three tones, whose features are the pictures averaged to 2x2."""

    name, class_names, shape = "tones", ("dark", "grey", "light"), (1, 8, 8)
    identity: ClassVar = {"weights": "0"}

    def features(self, pixels):
        n = len(pixels)
        return pixels.reshape(n, 2, 4, 2, 4).mean(axis=(2, 4)).reshape(n, 4).astype(np.float32)

    def scores(self, pixels):
        tone = self.features(pixels).mean(axis=1, keepdims=True)
        return -np.abs(tone - np.array([0.0, 128, 255], dtype=np.float32))


def pictures(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 1, 8, 8)).astype(np.uint8)


def test_ranks_count_what_is_likelier():
    scores = np.log(np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.4, 0.4, 0.2]]))
    assert ranks_of(scores, np.array([0, 0, 0])).tolist() == [0, 1, 0]
    # of equals the first counts as likelier, as argmax has it
    assert ranks_of(scores, np.array([2, 1, 1])).tolist() == [2, 2, 1]


def test_what_it_sees():
    found = seen_by(ByTone(), np.full((2, 1, 8, 8), 250, dtype=np.uint8), np.array([2, 0]))
    assert found.ranks.tolist() == [0, 2]
    assert found.features.tolist() == [[250] * 4] * 2


def test_classes_are_shown_as_often():
    labels = np.array([0, 0, 0, 0, 0, 2, 3, 3, 3])
    places = evened(labels)
    assert np.bincount(labels[places]).tolist() == [3, 0, 3, 3]
    assert places.tolist() == [0, 1, 2, 5, 5, 5, 6, 7, 8]


def test_pixels_in_memory_and_chosen_ones():
    held = HeldPixels(pictures(5))
    chosen = ChosenPixels(held, np.array([4, 4, 0]))
    for one in (held, chosen):
        whole: Pixels = one
        assert whole.shape == (1, 8, 8)
    assert chosen.rows.tolist() == [4, 4, 0]
    assert (chosen.read([0, 2]) == held.read([4, 0])).all()


def test_drawings_teach_what_they_show(tmp_path):
    labels = np.arange(40) % 2
    lesson = np.where(labels == 0, 10, 240)[:, None, None, None] * np.ones((1, 1, 8, 8))
    known = known_after(
        HeldPixels(lesson.astype(np.uint8)),
        labels,
        ("dark", "light"),
        np.concatenate([np.full((3, 1, 8, 8), tone, np.uint8) for tone in (30, 220)]),
        np.array([0, 0, 0, 1, 1, 0]),
        tmp_path / "taught",
        RecognizerConfig(width=8, steps=20, batch_size=8, lr=1e-2, device="cpu"),
        content="tones",
        device="cpu",
    )
    assert known.tolist() == [True] * 5 + [False]


@pytest.mark.parametrize("block", [3, 1_000])
def test_the_nearest_training_picture(monkeypatch, block):
    monkeypatch.setattr(judging, "BLOCK", block)
    training, labels = pictures(30), np.arange(30) % 3
    asked, of = pictures(6, seed=1), np.array([0, 1, 2, 0, 1, 2])
    asked[0] = training[3]  # a copy within its class
    training[7, :, :, 7] = training[7, :, :, 6]  # what leaves at the edge is what is there
    asked[1, :, :, 1:] = training[7, :, :, :-1]  # one that was moved
    asked[1, :, :, 0] = training[7, :, :, 0]
    asked[2] = training[9]  # a copy of a picture with another label
    eye = ByTone()
    found = nearest_training(eye, HeldPixels(training), labels, asked, of, eye.features(asked))
    assert found.by_pixels[:3].tolist() == [3, 7, 9]
    assert found.near.pixels[:3].tolist() == [0, 0, 0]
    assert (found.near.pixels[3:] > 0.1).all()
    apart = np.linalg.norm(eye.features(asked)[:, None] - eye.features(training), axis=2)
    assert found.by_features.tolist() == apart.argmin(axis=1).tolist()
    assert found.near.features == pytest.approx(apart.min(axis=1))


def test_a_class_without_training_pictures_is_near_by_features():
    training, asked = pictures(10), pictures(2, seed=1)
    eye = ByTone()
    found = nearest_training(
        eye, HeldPixels(training), np.zeros(10, np.int64), asked, np.array([0, 1]),
        eye.features(asked),
    )  # fmt: skip
    assert found.by_pixels[1] == found.by_features[1]
    assert np.isfinite(found.near.pixels).all()
