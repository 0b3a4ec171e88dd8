"""Each kind of checkpoint file gives its tensors; nothing in one is ever run."""

from __future__ import annotations

import hashlib
import os

import pytest
import torch
from safetensors.torch import save_file

from cliplab.encoders.weights import file_digest, read_checkpoint
from cliplab.runtime.errors import DataError, MissingWeights

STATE = {"visual.proj": torch.arange(6.0).reshape(2, 3), "logit_scale": torch.tensor(1.5)}


class Hostile:
    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        return os.system, (f"touch {self.flag}",)


def write_safetensors(path):
    save_file(STATE, path)


def write_state_dict(path):
    torch.save(STATE, path)


def write_old_state_dict(path):
    torch.save(STATE, path, _use_new_zipfile_serialization=False)


def write_training_checkpoint(path):
    wrapped = {f"module.{name}": value for name, value in STATE.items()}
    torch.save({"epoch": 3, "name": "run", "state_dict": wrapped, "optimizer": {"lr": 0.1}}, path)


WRITERS = [write_safetensors, write_state_dict, write_old_state_dict, write_training_checkpoint]


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("name", ["a.safetensors", "a.pt"])
def test_reads_each_kind(tmp_path, write, name):
    if name == "a.safetensors" and write is not write_safetensors:
        name = "a.bin"
    write(tmp_path / name)
    found = read_checkpoint(tmp_path / name)
    assert set(found.state) == set(STATE)
    assert all(torch.equal(found.state[key], STATE[key]) for key in STATE)
    assert not found.from_openai
    assert found.digest == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_hostile_pickle_is_refused(tmp_path, zipped, wrapped):
    flag = tmp_path / "ran"
    content = {"weight": Hostile(flag)}
    content = {"state_dict": content} if wrapped else content
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(DataError, match="nothing in it was run"):
        read_checkpoint(tmp_path / "a.pt")
    assert not flag.exists()


@pytest.mark.parametrize(
    "content", [[1, 2], {}, {"a": 1}, {1: torch.zeros(2)}, torch.zeros(2)], ids=str
)
def test_what_is_no_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(DataError, match="state dict"):
        read_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize("write", [write_safetensors, write_state_dict, write_old_state_dict])
@pytest.mark.parametrize("kept", [0, 1, 7, 9, 40, 0.5, 0.9])
@pytest.mark.parametrize("name", ["a.safetensors", "a.pt"])
def test_a_truncated_file_is_refused(tmp_path, write, kept, name):
    path = tmp_path / name
    write(path)
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(DataError, match=path.name):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><html>404</html>", b"PK\x03\x04", b"\0" * 99])
def test_what_is_no_checkpoint_is_refused(tmp_path, content):
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.pt"):
        read_checkpoint(tmp_path / "a.pt")


def test_a_missing_file_names_the_option(tmp_path):
    with pytest.raises(MissingWeights, match="--weights"):
        read_checkpoint(tmp_path / "none.pt")


def test_the_digest_is_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
