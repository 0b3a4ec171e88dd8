"""A recogniser learns, goes on exactly where it was cut off, and is read again as it was."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest

from cliplab.nouns import Recognizer
from cliplab.recognizers import training
from cliplab.recognizers.saved import WEIGHTS, load_recognizer
from cliplab.recognizers.training import RecognizerConfig, shifted, train_recognizer
from cliplab.runtime.errors import DataError, UsageError
from cliplab.training.tensor_files import TensorFile

NAMES = ("across", "down")
QUICK = RecognizerConfig(width=8, steps=40, batch_size=16, lr=1e-2, device="cpu")


class Bars(NamedTuple):
    """Pictures with a bar, across or down: `nouns.Pixels` in memory."""

    pictures: np.ndarray
    labels: np.ndarray

    @property
    def shape(self):
        return self.pictures.shape[1:]

    @property
    def rows(self):
        return np.arange(len(self.pictures))

    def read(self, places):
        return self.pictures[np.asarray(places)]


def bars(n: int, side: int = 12, channels: int = 1, seed: int = 0) -> Bars:
    generator = np.random.default_rng(seed)
    pictures = np.full((n, channels, side, side), 255, dtype=np.uint8)
    labels = generator.integers(0, 2, n)
    for picture, label, at in zip(
        pictures, labels, generator.integers(2, side - 2, n), strict=True
    ):
        picture[:, at] = np.where(label == 0, 0, picture[:, at])
        picture[:, :, at] = np.where(label == 1, 0, picture[:, :, at])
    return Bars(pictures, labels.astype(np.int64))


def trained(folder, config=QUICK, given=None, content="bars"):
    given = given or bars(200)
    return train_recognizer(given, given.labels, NAMES, config, folder, content=content)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("recognizer") / "r")


def test_it_learns_what_it_is_shown(folder):
    recognizer, unseen = load_recognizer(folder), bars(100, seed=1)
    assert isinstance(recognizer, Recognizer)
    scores = recognizer.scores(unseen.pictures)
    assert scores.shape == (100, 2)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(np.exp(scores).sum(axis=1), 1, rtol=1e-5)
    assert (scores.argmax(axis=1) == unseen.labels).mean() > 0.95


def test_features_are_what_the_answer_is_read_from(folder):
    recognizer, pictures = load_recognizer(folder), bars(3, seed=2).pictures
    features = recognizer.features(pictures)
    assert features.shape == (3, 128)
    head = recognizer.network.head
    logits = features @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    expected = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(recognizer.scores(pictures), expected, atol=1e-5)


def test_the_answer_does_not_depend_on_the_company(folder, monkeypatch):
    recognizer, pictures = load_recognizer(folder), bars(5, seed=3).pictures
    together = recognizer.scores(pictures)
    monkeypatch.setattr("cliplab.recognizers.saved.BATCH", 2)
    np.testing.assert_allclose(recognizer.scores(pictures), together, atol=1e-5)


@pytest.mark.parametrize("after", [1, 17])
def test_cut_off_it_ends_in_the_same_weights(tmp_path, folder, monkeypatch, after):
    real = training.LoopConfig
    monkeypatch.setattr(training, "LoopConfig", lambda **s: real(**s, checkpoint_seconds=0.0))
    whole, calls = training.functional.cross_entropy, []

    def cut(*args, **more):
        calls.append(1)
        if len(calls) > after:
            raise KeyboardInterrupt
        return whole(*args, **more)

    monkeypatch.setattr(training.functional, "cross_entropy", cut)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "r")
    monkeypatch.setattr(training.functional, "cross_entropy", whole)
    assert trained(tmp_path / "r") == tmp_path / "r"
    assert (tmp_path / "r" / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()
    assert not (tmp_path / "r" / "training").exists()


def test_a_finished_one_is_left_as_it_is_and_another_refused(folder, monkeypatch):
    monkeypatch.setattr(training, "train", lambda *_a, **_m: pytest.fail("trained again"))
    assert trained(folder) == folder
    with pytest.raises(UsageError, match="content"):
        trained(folder, content="others")
    with pytest.raises(UsageError, match="steps 40 there, 41 now"):
        trained(folder, dataclasses.replace(QUICK, steps=41))


def test_the_identity_changes_with_the_weights(tmp_path, folder):
    other = trained(tmp_path / "r", dataclasses.replace(QUICK, steps=1, seed=1))
    assert load_recognizer(folder).identity != load_recognizer(other).identity


@pytest.mark.parametrize(("side", "channels"), [(8, 1), (9, 3), (64, 3), (100, 1)])
def test_pictures_of_other_sizes(tmp_path, side, channels):
    given = bars(20, side=side, channels=channels)
    place = trained(tmp_path / "r", dataclasses.replace(QUICK, steps=1), given)
    assert load_recognizer(place).scores(given.pictures).shape == (20, 2)


def test_wrong_pictures_are_refused(folder):
    recognizer = load_recognizer(folder)
    with pytest.raises(UsageError, match=r"takes pictures of \(1, 12, 12\)"):
        recognizer.scores(np.zeros((1, 1, 8, 8), dtype=np.uint8))
    with pytest.raises(UsageError, match="float64"):
        recognizer.features(np.zeros((1, 1, 12, 12)))


def test_too_little_to_learn_is_refused(tmp_path):
    given = bars(1)
    with pytest.raises(DataError, match="1 pictures of 2 classes"):
        trained(tmp_path, given=given)
    with pytest.raises(UsageError, match="width 12: give a multiple of 8"):
        RecognizerConfig(width=12)


def test_damaged_folders_are_named(tmp_path, folder):
    with pytest.raises(DataError, match="holds no whole recogniser"):
        load_recognizer(tmp_path)
    for name in ("recognizer.json", WEIGHTS):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-10])
    with pytest.raises(DataError, match="no whole file of tensors"):
        load_recognizer(tmp_path)
    assert "recognizer/" not in "".join(TensorFile(folder / WEIGHTS).names)
    (tmp_path / "recognizer.json").write_text('{"format_version": 1, "shape": [1]}')
    with pytest.raises(DataError, match="no description of a recogniser"):
        load_recognizer(tmp_path)


def test_shifts_move_and_repeat_the_edge():
    picture = np.arange(9, dtype=np.uint8).reshape(1, 1, 3, 3)
    seen = {shifted(picture, 1, np.random.default_rng(seed)).tobytes() for seed in range(80)}
    assert len(seen) == 9
    assert np.array([[0, 0, 1], [0, 0, 1], [3, 3, 4]], dtype=np.uint8).tobytes() in seen
    assert np.array_equal(shifted(picture, 0, np.random.default_rng(0)), picture)
