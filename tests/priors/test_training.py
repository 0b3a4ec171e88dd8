"""A prior's training: it learns, resumes exactly, keeps within its memory, and says how well."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
import torch
from tests.tiny_prior import CODES, NOTES, toy_lessons

from cliplab.priors import training
from cliplab.priors.config import DECODERS, PRESETS, PriorConfig, resolve
from cliplab.priors.saved import read_about, read_prior
from cliplab.priors.steps import TECHNIQUES, PriorGradient
from cliplab.runtime.errors import DataError, UnknownName, UsageError
from cliplab.training.memory import Plan, TooLittleMemory
from cliplab.training.tensor_files import TensorFile

QUICK = PriorConfig(
    condition="class", width=16, layers=1, heads=2, steps=8, batch_size=16, lr=1e-2,
    device="cpu", memory="8GiB",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    """A checkpoint after every step."""
    real = training.LoopConfig
    monkeypatch.setattr(training, "LoopConfig", lambda **s: real(**s, checkpoint_seconds=0.0))


def train(folder, config=QUICK, lessons=None, validation=None, **settings):
    return training.train_on_lessons(
        toy_lessons() if lessons is None else lessons, validation, config, folder,
        codes=CODES, identity={"content": "toy"}, notes=NOTES, **settings,
    )  # fmt: skip


def weights(folder):
    return dict(TensorFile(folder / "prior.safetensors").tensors())


def interrupted(monkeypatch, after):
    taken = itertools.count(1)
    real = PriorGradient._batch

    def batch(self, drawn, step):
        if next(taken) > after:
            raise KeyboardInterrupt
        return real(self, drawn, step)

    monkeypatch.setattr(PriorGradient, "_batch", batch)
    return lambda: monkeypatch.setattr(PriorGradient, "_batch", real)


@pytest.mark.parametrize("decoder", DECODERS)
def test_it_learns_what_follows_from_the_class(tmp_path, decoder):
    config = dataclasses.replace(QUICK, decoder=decoder, steps=150, dropout=0.0)
    held_out = toy_lessons(60, seed=1)
    folder = train(tmp_path / "p", config, validation=held_out)
    about, prior = read_about(folder), read_prior(folder)
    assert about["losses"][-1] < 0.6 * about["losses"][0]
    told = about["bits_a_drawing"]
    assert told["n"] == 60
    assert told["low"] < told["value"] < told["high"]
    blind = 9 * math.log2(CODES)
    assert 2 < told["value"] < 0.35 * blind  # two bits of each grid are free
    conditions = held_out.conditions[held_out.start]
    assert prior.bits(held_out.tokens, conditions).mean() == pytest.approx(told["value"], rel=0.1)
    wrong = np.roll(conditions, 1, axis=1)
    assert prior.bits(held_out.tokens, wrong).mean() > 2 * told["value"]


def test_what_is_trained_is_read_again(tmp_path):
    folder = train(tmp_path / "p")
    prior = read_prior(folder)
    assert (prior.grid, prior.codes, prior.width) == ((3, 3), CODES, 3)
    assert (prior.condition, prior.class_names, prior.encoder) == ("class", ("a", "b", "c"), None)
    assert prior.about["n_train"] == 200
    assert prior.about["bits_a_drawing"] is None
    assert not (folder / "training").exists()


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("after", [1, 5])
def test_cut_off_it_ends_in_the_same_weights(tmp_path, monkeypatch, decoder, after):
    config = dataclasses.replace(QUICK, decoder=decoder)
    whole = weights(train(tmp_path / "whole", config))
    mend = interrupted(monkeypatch, after)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", config)
    mend()
    resumed = weights(train(tmp_path / "cut", config))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_every_plan_ends_in_the_same_weights(tmp_path, monkeypatch):
    found = []
    for number, plan in enumerate((Plan(16), Plan(5), Plan(3, TECHNIQUES[1]))):
        sizes = training.sizes_of(resolve(QUICK), CODES, (3, 3), 3)
        estimate = training.plan_training(resolve(QUICK), sizes, 1 << 40, 0)[1]
        monkeypatch.setattr(training, "plan_training", lambda *_, p=plan, e=estimate: (p, e))
        found.append(weights(train(tmp_path / str(number))))
        monkeypatch.undo()
    for other in found[1:]:
        for name, value in found[0].items():
            torch.testing.assert_close(other[name], value, rtol=1e-3, atol=1e-4)


def test_it_draws_and_looks_at_held_out_drawings_as_it_goes(tmp_path, monkeypatch):
    events, shown = pytest.importorskip("tensorboard.backend.event_processing"), []
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert events
    monkeypatch.setattr(training, "POINTS", 4)
    monkeypatch.setattr(training, "AS_IT_GOES", 2)

    def draw(network):
        shown.append((network.training, network.head.bias.clone()))
        return np.zeros((4, 4, 1), dtype=np.uint8)

    folder = train(tmp_path / "p", validation=toy_lessons(40, seed=1), draw=draw)
    written = EventAccumulator(str(folder / "tensorboard")).Reload()
    assert [point.step for point in written.Scalars("validation_bits_a_drawing")] == [4, 8]
    assert len(written.Scalars("loss")) >= 3
    assert [is_training for is_training, _ in shown] == [False] * len(shown)
    assert torch.equal(shown[-1][1], weights(folder)["head.bias"])  # the averaged weights draw


def test_too_little_memory_is_refused_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "_network", lambda *_, **__: pytest.fail("was made"))
    monkeypatch.setattr(training, "_warm_up", lambda _recipe: None)
    with pytest.raises(TooLittleMemory, match=r"Give --memory .* a smaller --preset"):
        train(tmp_path / "p", dataclasses.replace(QUICK, memory="50MiB"))
    sizes = training.sizes_of(resolve(QUICK), CODES, (3, 3), 3)
    with pytest.raises(TooLittleMemory, match="one picture at a time"):
        training.refuse_too_little(dataclasses.replace(QUICK, memory="50MiB"), sizes)


def test_a_finished_training_is_left_as_it_is(tmp_path):
    folder = train(tmp_path / "p")
    before = (folder / "prior.safetensors").stat().st_mtime_ns
    train(tmp_path / "p")
    assert (folder / "prior.safetensors").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="layers 1 there, 2 now"):
        train(tmp_path / "p", dataclasses.replace(QUICK, layers=2))


def test_a_time_fixes_the_number_of_steps_once(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "steps_in", lambda _minutes, take: take(0) or 5)
    config = dataclasses.replace(QUICK, steps=None, minutes=0.5)
    mend = interrupted(monkeypatch, 3)  # one of them timed
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "p", config)
    mend()
    monkeypatch.setattr(training, "steps_in", lambda *_: pytest.fail("was timed again"))
    folder = train(tmp_path / "p", config)
    assert json.loads((folder / "prior.json").read_text())["recipe"]["steps"] == 5
    train(tmp_path / "p", config)  # finished: the time is not asked again


def test_lessons_that_cannot_be_learnt(tmp_path):
    with pytest.raises(DataError, match="200 training drawings, fewer than a batch of 500"):
        train(tmp_path / "p", dataclasses.replace(QUICK, batch_size=500))
    lessons = toy_lessons()
    with pytest.raises(DataError, match=r"go up to 16, outside 0\.\.15"):
        train(tmp_path / "p", lessons=dataclasses.replace(lessons, tokens=lessons.tokens + 1))
    none = dataclasses.replace(lessons, tokens=lessons.tokens[:0])
    with pytest.raises(DataError, match="no drawings"):
        train(tmp_path / "p", lessons=none)


def test_sizes_that_do_not_go_together(tmp_path):
    with pytest.raises(UsageError, match="width 20: give a multiple of 4 x 3 heads"):
        train(tmp_path / "p", dataclasses.replace(QUICK, width=20, heads=3))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 0, "lr": -1.0}, r"--steps 0: give 1 or more\. --lr -1.0: give a positive"),
        ({"steps": 5, "minutes": 1}, "exclude each other"),
        ({"drop_condition": 1.0}, "--drop-condition 1.0: give a share"),
        ({"memory": "much"}, "--memory much: give an amount"),
        ({"prompt": ("a cat",)}, "put {} where the class name goes"),
    ],
)
def test_settings_that_cannot_be(given, message):
    with pytest.raises(UsageError, match=message):
        PriorConfig(**given)


@pytest.mark.parametrize(
    ("given", "right"),
    [({"preset": "cpus"}, "cpu"), ({"decoder": "maskd"}, "masked"), ({"condition": "txt"}, "text")],
)
def test_names_that_are_not_known(given, right):
    with pytest.raises(UnknownName, match=f"Did you mean '{right}'"):
        PriorConfig(**given)


def test_given_fields_come_before_the_preset():
    recipe = resolve(PriorConfig(preset="small", layers=3, decoder="masked"))
    assert (recipe.layers, recipe.width, recipe.smoothing) == (3, PRESETS["small"].width, 0.1)


@pytest.mark.parametrize("decoder", DECODERS)
def test_mixed_precision_learns_too(tmp_path, decoder):
    config = dataclasses.replace(QUICK, decoder=decoder, precision="bf16", steps=20)
    about = read_about(train(tmp_path / "p", config, validation=toy_lessons(20, seed=1)))
    assert about["bits_a_drawing"]["value"] < 9 * math.log2(CODES)
    assert about["recipe"]["precision"] == "bf16"
