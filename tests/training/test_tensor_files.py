"""Files of tensors: the library reads ours, we read the library's, and damage is named."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from cliplab.runtime.errors import DataError
from cliplab.training.tensor_files import TensorFile, write_tensors

TENSORS = {
    "a/weights": torch.arange(12.0).reshape(3, 4),
    "a/half": torch.ones(3, dtype=torch.bfloat16),
    "b/step": torch.tensor(7),
    "b/none": torch.empty(0, 5),
    "b/flag": torch.tensor([True, False]),
    "b/turned": torch.arange(6.0).reshape(2, 3).T,
}
ABOUT = {"format_version": 1, "step": 3, "name": "ä"}


def test_the_library_reads_what_is_written(tmp_path):
    write_tensors(tmp_path / "x.safetensors", TENSORS, ABOUT)
    found = load_file(tmp_path / "x.safetensors")
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], value) for name, value in TENSORS.items())


def test_what_the_library_writes_is_read(tmp_path):
    tensors = {name: value.contiguous() for name, value in TENSORS.items()}
    save_file(tensors, tmp_path / "x.safetensors", metadata={"cliplab": json.dumps(ABOUT)})
    file = TensorFile(tmp_path / "x.safetensors")
    assert file.about == ABOUT
    assert all(torch.equal(value, tensors[name]) for name, value in file.tensors())


def test_tensors_come_by_their_prefix(tmp_path):
    write_tensors(tmp_path / "x", TENSORS, ABOUT)
    assert [name for name, _ in TensorFile(tmp_path / "x").tensors("a/")] == ["weights", "half"]


@pytest.mark.parametrize("kept", [0, 5, 50, -1])
def test_a_file_cut_short_is_named(tmp_path, kept):
    path = tmp_path / "x"
    write_tensors(path, TENSORS, ABOUT)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match="x is no whole file of tensors"):
        TensorFile(path)


def test_a_shape_that_does_not_fit_its_bytes_is_named(tmp_path):
    path = tmp_path / "x"
    write_tensors(path, {"a": torch.zeros(4)}, ABOUT)
    path.write_bytes(path.read_bytes().replace(b'"shape": [4]', b'"shape": [5]'))
    with pytest.raises(DataError, match="'a' has not the bytes of its shape"):
        list(TensorFile(path).tensors())
