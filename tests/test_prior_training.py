"""From a data set to a prior, for each kind of condition."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from tests.tiny_tokenizer import make_tokenizer

from cliplab import prior_training
from cliplab.datasets.family import open_dataset
from cliplab.nouns import TRAIN
from cliplab.prior_training import encoder_of, train_prior
from cliplab.priors import training
from cliplab.priors.config import PriorConfig
from cliplab.priors.saved import read_prior, refuse_misfit
from cliplab.runtime.errors import DataError, UnknownName, UsageError
from cliplab.tokenizers.opening import load_tokenizer
from cliplab.training.memory import TooLittleMemory

QUICK = PriorConfig(
    width=16, layers=1, heads=2, steps=4, batch_size=16, device="cpu", memory="8GiB"
)


@pytest.fixture(scope="module")
def digits():
    return open_dataset("digits").dataset


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return load_tokenizer(make_tokenizer(tmp_path_factory.mktemp("tokenizer") / "t"))


def test_words_become_drawings(digits, tokenizer, toy_encoder, tmp_path):
    folder = train_prior(digits, tokenizer, QUICK, tmp_path / "p", encoder=toy_encoder)
    prior = read_prior(folder)
    refuse_misfit(prior, tokenizer)
    assert (prior.condition, prior.width) == ("text", toy_encoder.width)
    assert prior.class_names == digits.task().class_names
    assert prior.encoder == toy_encoder.identity
    assert "a drawing of a {}" in prior.prompts
    assert prior.about["n_train"] == 1438
    assert prior.about["bits_a_drawing"]["n"] == 359
    assert prior.about["data_set"] == "digits"
    assert prior.about["tokenizer_name"] == str(Path(tokenizer.name).absolute())
    asked = toy_encoder.encode_texts(["a three", "a four"])
    tokens = prior.sample(asked / np.linalg.norm(asked, axis=1, keepdims=True), seed=0)
    assert tokenizer.decode(tokens).shape == (2, 1, 8, 8)


def test_tokens_and_lessons_belong_together(digits, tokenizer, tmp_path, monkeypatch):
    """Whatever order tokens lie in, and whichever pictures have none."""
    seen = []
    real = prior_training._lessons

    def shuffled(dataset, tokens, shown, rows):
        numbered = np.zeros_like(tokens.tokens)  # the first two tokens tell the row
        numbered[:, 0, 0], numbered[:, 0, 1] = np.divmod(np.arange(len(tokens)), 64)
        order = np.random.default_rng(0).permutation(len(tokens))[100:]
        fewer = dataclasses.replace(tokens, ids=tokens.ids[order], tokens=numbered[order])
        return real(dataset, fewer, shown, rows)

    def take(*lessons, **_settings):
        seen.extend(lessons[:2])

    monkeypatch.setattr(training, "train_on_lessons", take)
    monkeypatch.setattr(prior_training, "_lessons", shuffled)
    train_prior(digits, tokenizer, dataclasses.replace(QUICK, condition="class"), tmp_path / "p")
    for lessons, split in zip(seen, (TRAIN, "test"), strict=True):
        rows = lessons.tokens[:, 0, 0].astype(int) * 64 + lessons.tokens[:, 0, 1]
        assert set(rows) < set(digits.rows("digit", split))
        assert len(rows) > 0.9 * len(digits.rows("digit", split))
        assert np.array_equal(
            lessons.conditions[lessons.start].argmax(1), digits.labels["digit"][rows]
        )


def test_too_little_memory_is_refused_before_tokens_are_made(
    digits, tokenizer, tmp_path, monkeypatch
):
    from cliplab.tokenizers import token_store

    monkeypatch.setattr(token_store, "tokenize_dataset", lambda *_, **__: pytest.fail("was made"))
    config = dataclasses.replace(QUICK, condition="class", memory="50MiB")
    with pytest.raises(TooLittleMemory, match="Give --memory"):
        train_prior(digits, tokenizer, config, tmp_path / "p")


def test_another_tokenizer_or_encoder_is_another_training(digits, tokenizer, toy_encoder, tmp_path):
    folder = train_prior(digits, tokenizer, QUICK, tmp_path / "p", encoder=toy_encoder)
    other = load_tokenizer(make_tokenizer(tmp_path / "other", seed=1))
    with pytest.raises(UsageError, match="holds a training with other settings: tokenizer"):
        train_prior(digits, other, QUICK, folder, encoder=toy_encoder)
    there = (folder / "prior.safetensors").stat().st_mtime_ns
    train_prior(digits, tokenizer, QUICK, folder, encoder=toy_encoder)
    assert (folder / "prior.safetensors").stat().st_mtime_ns == there


def test_nothing_to_learn(digits, tokenizer, toy_encoder, tmp_path):
    none = dataclasses.replace(digits, splits={"digit": np.full(len(digits), "test", dtype=object)})
    with pytest.raises(DataError, match="expected the split train, found test"):
        train_prior(none, tokenizer, QUICK, tmp_path / "p", encoder=toy_encoder)
    assert not (tmp_path / "p").exists()


def test_without_an_encoder(monkeypatch):
    with pytest.raises(UnknownName, match="nowhere"):
        encoder_of("nowhere/at-all")
    monkeypatch.setattr(prior_training, "SHIPPED", "nothing/that-ships")
    with pytest.raises(UsageError, match=r"No encoder ships .* give --encoder"):
        encoder_of(None)


def test_the_grid_has_a_row_for_each_prompt(digits, tokenizer, tmp_path, monkeypatch):
    drawn = {}

    def take(*_args, draw, **_settings):
        from cliplab.priors.config import resolve

        recipe = resolve(dataclasses.replace(QUICK, condition="class"))
        sizes = training.sizes_of(recipe, tokenizer.codes, tokenizer.grid, 10)
        network = training._network(recipe, sizes, "cpu")
        drawn.update(once=draw(network), again=draw(network))

    monkeypatch.setattr(training, "train_on_lessons", take)
    train_prior(digits, tokenizer, dataclasses.replace(QUICK, condition="class"), tmp_path / "p")
    assert drawn["once"].shape == (8 * 10 + 2, 8 * 10 + 2, 1)
    assert np.array_equal(drawn["once"], drawn["again"])


def test_the_folder_tells_what_was_done(digits, tokenizer, tmp_path):
    config = dataclasses.replace(QUICK, condition="class", decoder="masked")
    folder = train_prior(digits, tokenizer, config, tmp_path / "p")
    about = json.loads((folder / "prior.json").read_text())
    assert about["encoder"] is None
    assert about["recipe"]["decoder"] == "masked"
    assert about["tokenizer"] == tokenizer.identity
    assert about["identity"]["content"] == digits.content_digest()
