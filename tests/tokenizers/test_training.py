"""A tokenizer's training: resumed exactly, the same under every plan, within its memory."""

from __future__ import annotations

import dataclasses
import itertools
import json

import numpy as np
import pytest
import torch
from tests.cli.conftest import make_photos

from cliplab.datasets.family import open_dataset
from cliplab.runtime.errors import DataError, UsageError
from cliplab.tokenizers import steps, training
from cliplab.tokenizers.config import TokenizerConfig
from cliplab.tokenizers.opening import load_tokenizer
from cliplab.tokenizers.saved import ABOUT
from cliplab.tokenizers.steps import TECHNIQUES, TokenizerGradient, batches_from
from cliplab.tokenizers.training import train_tokenizer
from cliplab.training.memory import Plan, TooLittleMemory
from cliplab.training.tensor_files import TensorFile

QUICK = TokenizerConfig(
    size=8, groups=2, width=8, codes=16, steps=8, batch_size=16, device="cpu", memory="8GiB"
)


@pytest.fixture(scope="module")
def digits():
    return open_dataset("digits").dataset


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    """A checkpoint after every step; plans are not simulated twice for a toy."""
    real = training.LoopConfig
    monkeypatch.setattr(training, "LoopConfig", lambda **s: real(**s, checkpoint_seconds=0.0))


def weights(folder):
    return dict(TensorFile(folder / "tokenizer.safetensors").tensors())


def interrupted(monkeypatch, after):
    taken = itertools.count(1)
    real = TokenizerGradient._batch

    def batch(self, places, step):
        if next(taken) > after:
            raise KeyboardInterrupt
        return real(self, places, step)

    monkeypatch.setattr(TokenizerGradient, "_batch", batch)
    return lambda: monkeypatch.setattr(TokenizerGradient, "_batch", real)


def test_what_is_trained_is_read_again(digits, tmp_path):
    folder = train_tokenizer(digits, QUICK, tmp_path / "t")
    tokenizer = load_tokenizer(folder)
    assert (tokenizer.shape, tokenizer.grid, tokenizer.codes) == ((1, 8, 8), (4, 4), 16)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8), dtype=np.uint8)
    tokens = tokenizer.encode(pixels)
    assert tokens.shape == (3, 4, 4)
    assert tokenizer.decode(tokens).shape == pixels.shape
    about = json.loads((folder / ABOUT).read_text())
    assert about["n_train"] == 1438
    assert not (folder / "training").exists()


@pytest.mark.parametrize("quantizer", ["vq", "gumbel", "fsq"])
@pytest.mark.parametrize("after", [1, 5])
def test_cut_off_it_ends_in_the_same_weights(digits, tmp_path, monkeypatch, quantizer, after):
    codes = 64 if quantizer == "fsq" else 16
    config = dataclasses.replace(QUICK, quantizer=quantizer, codes=codes)
    whole = weights(train_tokenizer(digits, config, tmp_path / "whole"))
    mend = interrupted(monkeypatch, after)
    with pytest.raises(KeyboardInterrupt):
        train_tokenizer(digits, config, tmp_path / "cut")
    mend()
    resumed = weights(train_tokenizer(digits, config, tmp_path / "cut"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize("quantizer", ["vq", "gumbel"])
def test_every_plan_ends_in_the_same_weights(digits, tmp_path, monkeypatch, quantizer):
    config = dataclasses.replace(QUICK, quantizer=quantizer, steps=4)
    found = []
    for number, plan in enumerate((Plan(16), Plan(5, TECHNIQUES[1]), Plan(3, TECHNIQUES[2]))):
        monkeypatch.setattr(steps, "ROWS_AT_ONCE", 7)
        estimate = training.plan_training(training.resolve(config, 8, True), 1 << 40, 0)[1]
        monkeypatch.setattr(training, "plan_training", lambda *_, p=plan, e=estimate: (p, e))
        found.append(weights(train_tokenizer(digits, config, tmp_path / str(number))))
        monkeypatch.undo()
    for other in found[1:]:
        for name, value in found[0].items():
            torch.testing.assert_close(other[name], value, rtol=2e-4, atol=2e-5)


def test_too_little_memory_is_refused_before_anything_is_read(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "open_pixels", lambda *_, **__: pytest.fail("was read"))
    with pytest.raises(TooLittleMemory, match="Give --memory"):
        train_tokenizer(digits, dataclasses.replace(QUICK, memory="50MiB"), tmp_path / "t")


def test_a_finished_training_is_left_as_it_is(digits, tmp_path):
    folder = train_tokenizer(digits, QUICK, tmp_path / "t")
    before = (folder / "tokenizer.safetensors").stat().st_mtime_ns
    train_tokenizer(digits, QUICK, tmp_path / "t")
    assert (folder / "tokenizer.safetensors").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="codes 16 there, 32 now"):
        train_tokenizer(digits, dataclasses.replace(QUICK, codes=32), tmp_path / "t")


def test_a_time_fixes_the_number_of_steps_once(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "steps_in", lambda _minutes, take: take(0) or 5)
    config = dataclasses.replace(QUICK, steps=None, minutes=0.5)
    mend = interrupted(monkeypatch, 3)  # one of them timed
    with pytest.raises(KeyboardInterrupt):
        train_tokenizer(digits, config, tmp_path / "t")
    mend()
    monkeypatch.setattr(training, "steps_in", lambda *_: pytest.fail("was timed again"))
    folder = train_tokenizer(digits, config, tmp_path / "t")
    assert json.loads((folder / ABOUT).read_text())["recipe"]["steps"] == 5
    train_tokenizer(digits, config, tmp_path / "t")  # finished: the time is not asked again


def test_a_batch_that_was_not_asked_for_holds_what_there_is(digits, tmp_path, capsys):
    few = {name: np.where(np.arange(len(digits)) < 20, "train", "test") for name in digits.splits}
    config = dataclasses.replace(QUICK, batch_size=None, steps=2)
    folder = train_tokenizer(dataclasses.replace(digits, splits=few), config, tmp_path / "t")
    assert json.loads((folder / ABOUT).read_text())["recipe"]["batch_size"] == 20
    assert "each batch holds all of them" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"quantizer": "vq"}, "Try fewer --codes."),
        ({"quantizer": "fsq"}, "Try --quantizer vq or fewer --codes."),
        (
            {"quantizer": "gumbel", "objective": "l1"},
            "Try --quantizer vq or fewer --codes or --objective bce.",
        ),
    ],
)
def test_what_is_done_already_is_no_advice(settings, advice, capsys):
    config = dataclasses.replace(QUICK, codes=512, steps=100, **settings)
    health = training._Health(training.resolve(config, 8, True))
    health(50, {"codes_used": 9.0}, None)
    assert (
        f"Only 9 of 512 codes are in use at step 50: the pictures may come out blank. {advice}"
        in (capsys.readouterr().err)
    )


def test_codes_in_use_are_not_complained_of(capsys):
    config = dataclasses.replace(QUICK, codes=512, steps=100)
    health = training._Health(training.resolve(config, 8, True))
    health(50, {"codes_used": 200.0}, None)
    health(60, {"codes_used": 1.0}, None)  # it is said once, when it is due
    assert capsys.readouterr().err == ""


def test_more_than_there_is_of_pictures_is_refused(digits, tmp_path):
    with pytest.raises(DataError, match="fewer than a batch"):
        train_tokenizer(digits, dataclasses.replace(QUICK, batch_size=2000), tmp_path / "t")


@pytest.mark.parametrize("minutes", [None, 0.01])
def test_a_batch_that_is_not_asked_for_holds_what_can_be_read(tmp_path, minutes, monkeypatch):
    monkeypatch.setattr(training, "steps_in", lambda _minutes, take: take(0) or 4)
    photos = make_photos(tmp_path / "photos", 6)
    train = open_dataset(photos).dataset
    broken = train.ids[train.rows("label", "train")[0]]
    (photos / broken).write_bytes(b"cut short")
    steps = None if minutes else 4
    config = dataclasses.replace(QUICK, batch_size=None, steps=steps, minutes=minutes)
    data = open_dataset(photos).dataset
    folder = train_tokenizer(data, config, tmp_path / "t")
    about = json.loads((folder / ABOUT).read_text())
    n_train = len(data.rows("label", "train"))
    assert about["recipe"]["batch_size"] == n_train - 1
    assert about["n_train"] == n_train - 1
    train_tokenizer(data, config, folder)  # is known as finished


def test_a_batch_that_is_asked_for_must_be_read_before_anything_is_timed(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "steps_in", lambda *_: pytest.fail("was timed"))
    photos = make_photos(tmp_path / "photos", 6)
    data = open_dataset(photos).dataset
    rows = data.rows("label", "train")
    (photos / data.ids[rows[0]]).write_bytes(b"cut short")
    config = dataclasses.replace(QUICK, batch_size=len(rows), steps=None, minutes=0.01)
    with pytest.raises(DataError, match="can be read, fewer than a batch"):
        train_tokenizer(open_dataset(photos).dataset, config, tmp_path / "t")


def test_out_of_memory_the_same_batch_is_done_in_halves(digits, tmp_path, monkeypatch):
    recipe = training.resolve(QUICK, 8, True)
    pixels, _ = training.open_pixels(
        digits, np.arange(64), size=(8, 8), channels=1, folder=tmp_path
    )
    places = np.arange(16)

    def gradient(micro, fails):
        model = training._model(recipe, "cpu")
        made = TokenizerGradient(model, pixels, recipe, Plan(micro), "cpu")
        real = type(model).parts

        def parts(self, given, *args, **kwargs):
            if fails and len(given) > 4:
                raise torch.OutOfMemoryError("pretended")
            return real(self, given, *args, **kwargs)

        monkeypatch.setattr(type(model), "parts", parts)
        made(places, 0)
        monkeypatch.undo()
        return made.plan.micro_batch, [p.grad for p in model.parameters()]

    _, whole = gradient(16, fails=False)
    micro, halved = gradient(16, fails=True)
    assert micro == 4
    for a, b in zip(whole, halved, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_batches_go_on_from_any_step_and_cover_an_epoch():
    source = batches_from(10, 3, seed=0)
    first = list(itertools.islice(source(0), 7))
    assert len(np.unique(np.concatenate(first[:3]))) == 9
    assert not np.array_equal(first[0], first[3])
    for step in range(7):
        assert np.array_equal(next(source(step)), first[step])
