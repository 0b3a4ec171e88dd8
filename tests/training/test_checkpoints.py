"""A checkpoint gives back what was saved, and is refused where it cannot be gone on with."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from cliplab.runtime.errors import DataError, FormatTooNew, UsageError
from cliplab.training.checkpoints import (
    FILE,
    Standing,
    Trained,
    checkpoint_notes,
    load_checkpoint,
    refuse_changes,
    save_checkpoint,
)

IDENTITY = {"lr": 0.1, "captions": ("a", "b")}
STANDING = Standing(7, (1.5, 0.1 + 0.2), 0.3)


def network(seed):
    """A network with buffers, and an optimiser that has taken a step."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
    model(torch.randn(5, 3)).square().sum().backward()
    optimizer.step()
    average = {name: value.detach() / 2 for name, value in model.named_parameters()}
    return Trained(model, optimizer, average)


def test_what_is_saved_comes_back_bit_for_bit(tmp_path):
    saved, other = network(0), network(1)
    save_checkpoint(tmp_path / "checkpoint", saved, STANDING, IDENTITY)
    assert load_checkpoint(tmp_path / "checkpoint", other, IDENTITY) == STANDING
    for name, value in saved.model.state_dict().items():
        assert torch.equal(other.model.state_dict()[name], value), name
    expected, found = (t.optimizer.state_dict()["state"] for t in (saved, other))
    assert expected.keys() == found.keys()
    for index, values in expected.items():
        assert all(torch.equal(found[index][key], values[key]) for key in values)


def test_the_average_comes_back_too(tmp_path):
    saved, other = network(0), network(1)
    save_checkpoint(tmp_path, saved, STANDING, IDENTITY)
    load_checkpoint(tmp_path, other, IDENTITY)
    assert all(torch.equal(other.average[name], value) for name, value in saved.average.items())


def test_notes_are_read_without_the_rest(tmp_path):
    assert checkpoint_notes(tmp_path) is None
    save_checkpoint(tmp_path, network(0), STANDING, IDENTITY, {"threads": 2})
    assert checkpoint_notes(tmp_path) == {"threads": 2}


def test_a_network_of_another_shape_is_refused(tmp_path):
    save_checkpoint(tmp_path, network(0), STANDING, IDENTITY)
    other = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.BatchNorm1d(5))
    optimizer = torch.optim.AdamW(other.parameters())
    with pytest.raises(DataError, match="does not fit"):
        load_checkpoint(tmp_path, Trained(other, optimizer), IDENTITY)


def test_the_folder_holds_the_newest_alone(tmp_path):
    for step in (1, 2):
        save_checkpoint(tmp_path, network(0), Standing(step, ()), IDENTITY)
    assert [p.name for p in tmp_path.iterdir()] == [FILE]
    assert load_checkpoint(tmp_path, network(1), IDENTITY).step == 2


def test_without_a_file_there_is_none(tmp_path):
    assert load_checkpoint(tmp_path, network(0), IDENTITY) is None


def test_other_settings_are_named_one_by_one(tmp_path):
    save_checkpoint(tmp_path / "checkpoint", network(0), STANDING, IDENTITY)
    with pytest.raises(UsageError, match=r"lr 0\.1 there, 0\.2 now; seed None there, 3 now"):
        load_checkpoint(
            tmp_path / "checkpoint", network(0), {"lr": 0.2, "captions": ("a", "b"), "seed": 3}
        )


def test_equal_settings_pass_though_files_have_lists_for_tuples(tmp_path):
    refuse_changes(tmp_path, {"prompts": ["a"]}, {"prompts": ("a",)})


def test_a_newer_format_is_refused(tmp_path):
    header = json.dumps({"format_version": 99})
    save_file({"model/x": torch.zeros(1)}, tmp_path / FILE, metadata={"cliplab": header})
    with pytest.raises(FormatTooNew, match="99"):
        load_checkpoint(tmp_path, network(0), IDENTITY)


def test_safetensors_of_something_else_are_told(tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / FILE)
    with pytest.raises(DataError, match=r"no whole file of tensors.*Remove"):
        load_checkpoint(tmp_path, network(0), IDENTITY)
