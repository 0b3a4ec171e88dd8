"""Checkpoints are renamed and resized exactly as open_clip's own loader does."""

from __future__ import annotations

import copy

import open_clip
import pytest
import torch
from open_clip import factory

from cliplab.encoders.fitting import fitted


def model_of(folder):
    return open_clip.create_model(f"local-dir:{folder}")


def by_open_clip(model, state, tmp_path):
    filled = copy.deepcopy(model)
    torch.save(state, tmp_path / "a.pt")
    factory.load_checkpoint(filled, str(tmp_path / "a.pt"), strict=True)
    return filled.state_dict()


def by_us(model, state):
    filled = copy.deepcopy(model)
    filled.load_state_dict(fitted(state, filled), strict=True)
    return filled.state_dict()


def assert_same(found, expected):
    assert set(found) == set(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def resized(state, name, length):
    return {**state, name: torch.randn(length, state[name].shape[1])}


@pytest.mark.parametrize("kind", ["vit", "resnet", "timm", "siglip", "coca"])
def test_whole_checkpoints(tiny_folder, tmp_path, kind):
    model = model_of(tiny_folder(kind))
    state = {
        k: torch.randn_like(v) if v.is_floating_point() else v
        for k, v in model.state_dict().items()
    }
    assert_same(by_us(model, state), by_open_clip(model, state, tmp_path))
    assert_same(by_us(model, state), state)


@pytest.mark.parametrize(
    ("name", "length"), [("visual.positional_embedding", 17), ("positional_embedding", 20)]
)
def test_positions_are_resized_and_that_is_said(tiny_folder, tmp_path, name, length):
    model = model_of(tiny_folder("vit"))
    state = resized(model.state_dict(), name, length)
    with pytest.warns(UserWarning, match=f"{name} has {length} positions in the file and"):
        found = by_us(model, state)
    assert_same(found, by_open_clip(model, state, tmp_path))


def test_scalars_of_either_shape(tiny_folder, tmp_path):
    model = model_of(tiny_folder("siglip"))
    state = model.state_dict()
    state = {**state, **{n: state[n].reshape(1) for n in ("logit_scale", "logit_bias")}}
    assert_same(by_us(model, state), by_open_clip(model, state, tmp_path))


def test_a_bias_that_is_missing_is_zero(tiny_folder, tmp_path):
    model = model_of(tiny_folder("siglip"))
    state = {name: value for name, value in model.state_dict().items() if name != "logit_bias"}
    found = by_us(model, state)
    assert_same(found, by_open_clip(model, state, tmp_path))
    assert found["logit_bias"] == 0


def test_older_names_of_the_text_tower(tiny_folder, tmp_path):
    """A tower of its own is `text.…`; it was once at the top."""
    custom = open_clip.create_model(
        f"local-dir:{tiny_folder('vit')}", load_weights=False, force_custom_text=True
    )
    state = model_of(tiny_folder("vit")).state_dict()
    found = by_us(custom, state)
    assert_same(found, by_open_clip(custom, state, tmp_path))
    assert torch.equal(found["text.positional_embedding"], state["positional_embedding"])


def test_the_state_given_is_not_changed(tiny_folder):
    model = model_of(tiny_folder("vit"))
    state = resized(model.state_dict(), "positional_embedding", 20)
    before = dict(state)
    with pytest.warns(UserWarning, match="interpolated"):
        fitted(state, model)
    assert all(state[name] is before[name] for name in before)
