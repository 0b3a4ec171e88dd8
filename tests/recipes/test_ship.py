"""Folders of trainings become those that come with the package: small, whole, of no machine."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.torch import load_file
from tests.tiny_prior import make_prior
from tests.tiny_tokenizer import make_tokenizer

from cliplab.encoders import trained
from cliplab.encoders.architecture import build, read_architecture
from cliplab.encoders.open_clip import load_encoder
from cliplab.priors.saved import read_prior
from cliplab.runtime.errors import DataError
from cliplab.tokenizers.opening import load_tokenizer
from recipes import ship

TEXTS = ["a cat", "a doodle of a dog."]


@pytest.fixture
def clip(tmp_path):
    architecture = read_architecture("tiny")
    made = build(architecture, seed=0)
    tokens = sorted(set(made.tokenize(TEXTS).flatten().tolist()))
    notes = {"data_set": "/somewhere/of/mine/drawings.npz", "losses": [1.0]}
    folder, state = tmp_path / "trained", made.model.state_dict()
    trained.save_trained(
        folder, state, architecture.model_cfg, architecture.preprocess_cfg, notes, tokens=tokens
    )
    return folder


def test_an_encoder_reads_as_before(clip, tmp_path):
    ship.ship({"clip": clip}, tmp_path / "weights")
    before, after = (load_encoder(f, device="cpu") for f in (clip, tmp_path / "weights" / "clip"))
    expected, found = before.encode_texts(TEXTS), after.encode_texts(TEXTS)
    np.testing.assert_allclose(found, expected, rtol=0, atol=4e-3 * np.abs(expected).max())
    assert after.unknown_words("a zebra") == ("zebra",)
    notes = json.loads((tmp_path / "weights" / "clip" / trained.NOTES).read_text())
    assert notes == {"format_version": 2, "data_set": "drawings.npz", "losses": [1.0]}


def test_what_is_shipped_twice_is_the_same(clip, tmp_path):
    for name in ("one", "other"):
        ship.ship({"clip": clip}, tmp_path / name)
    ship.ship({"clip": tmp_path / "one" / "clip"}, tmp_path / "again")
    files = [
        [(p.name, p.read_bytes()) for p in sorted((tmp_path / name / "clip").iterdir())]
        for name in ("one", "other", "again")
    ]
    assert files[0] == files[1] == files[2]


def test_an_encoder_without_its_tokens_is_refused(tiny_clip_folder, tmp_path):
    with pytest.raises(DataError, match="does not say which tokens"):
        ship.ship({"clip": tiny_clip_folder}, tmp_path / "weights")
    assert not (tmp_path / "weights").exists()


@pytest.fixture
def tiny_clip_folder(tmp_path):
    architecture = read_architecture("tiny")
    state = build(architecture, seed=0).model.state_dict()
    folder = tmp_path / "unsaid"
    trained.save_trained(folder, state, architecture.model_cfg, architecture.preprocess_cfg, {})
    return folder


def test_a_tokenizer_is_written_as_halves(tmp_path):
    folder = make_tokenizer(tmp_path / "trained")
    ship.ship({"tokenizer": folder}, tmp_path / "weights")
    stored = load_file(tmp_path / "weights" / "tokenizer" / "tokenizer.safetensors")
    assert {str(v.dtype) for v in stored.values() if v.is_floating_point()} == {"torch.float16"}
    before, after = (load_tokenizer(f) for f in (folder, tmp_path / "weights" / "tokenizer"))
    tokens = np.arange(np.prod(before.grid)).reshape(1, *before.grid) % before.codes
    drawn = [made.decode(tokens).astype(int) for made in (before, after)]
    assert np.abs(drawn[0] - drawn[1]).max() <= 2
    assert after.recipe == before.recipe


@pytest.fixture
def trained_prior(clip, tmp_path):
    """A function that writes a prior trained on what is shipped in `weights`."""

    def make(**changes):
        weights = tmp_path / "weights"
        ship.ship({"clip": clip, "tokenizer": make_tokenizer(tmp_path / "tokenizer")}, weights)
        encoder = load_encoder(weights / "clip", device="cpu")
        notes = {
            "condition": "text",
            "width": encoder.width,
            "tokenizer": dict(load_tokenizer(weights / "tokenizer").identity),
            "encoder": dict(encoder.identity),
            "encoder_name": str(weights / "clip"),
            "data_set": "/somewhere/drawings.npz",
        }
        return make_prior(tmp_path / "prior", **{**notes, **changes})

    return make


def test_a_prior_is_written_as_halves_and_names_no_folder(trained_prior, tmp_path):
    folder, out = trained_prior(), tmp_path / "weights" / "prior"
    ship.ship({"prior": folder}, tmp_path / "weights")
    stored = load_file(out / "prior.safetensors")
    assert {str(value.dtype) for value in stored.values()} == {"torch.float16"}
    before, after = read_prior(folder), read_prior(out)
    assert after.sizes == before.sizes
    assert (after.tokenizer, after.encoder) == (before.tokenizer, before.encoder)
    assert after.about["data_set"] == "drawings.npz"
    assert "encoder_name" not in after.about
    for name, value in before.network.state_dict().items():
        np.testing.assert_allclose(after.network.state_dict()[name], value, atol=2e-3)


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("prior", {"tokenizer": {"weights": "x"}}, "another tokenizer than is shipped"),
        ("prior", {"encoder": {"weights": "x"}}, "another clip than is shipped"),
        ("prior-masked", {}, "prior-masked is to be masked; this one is autoregressive"),
    ],
)
def test_a_prior_that_goes_with_something_else_is_refused(
    trained_prior, tmp_path, kind, changes, words
):
    folder = trained_prior(**changes)
    with pytest.raises(DataError, match=words):
        ship.ship({kind: folder}, tmp_path / "weights")
    assert not (tmp_path / "weights" / kind).exists()


def test_too_much_is_refused_and_changes_nothing(clip, tmp_path, monkeypatch):
    weights = tmp_path / "weights"
    ship.ship({"clip": clip}, weights)
    (weights / "clip" / "MODEL_CARD.md").write_text("A card.")
    before = {path: path.read_bytes() for path in weights.rglob("*") if path.is_file()}
    monkeypatch.setattr(ship, "MOST_WEIGHTS", 1000)
    monkeypatch.setattr(ship, "MOST_OTHER", 3)
    with pytest.raises(DataError, match=r"MODEL_CARD.md has .*; the weights have .* \(clip 0"):
        ship.ship({"clip": clip}, weights)
    assert {path: path.read_bytes() for path in weights.rglob("*") if path.is_file()} == before


def test_what_lies_in_the_package_is_small_enough(tmp_path):
    ship.check_sizes(ship.WEIGHTS, tmp_path)
