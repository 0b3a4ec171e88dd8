"""Pickled modules give their tensors in every layout; hostile and damaged ones build nothing."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import struct
import zipfile

import pytest
import torch
from tests.dalle_files import write_published
from tests.tokenizers.original import drawn, shapes
from torch import nn

from cliplab.runtime.errors import DataError
from cliplab.runtime.tensor_pickles import read_module

PACKAGES = ("dall_e", "torch.nn.modules")
LAYOUTS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])


def small_states():
    encoder = drawn(shapes(1, (4, 4, 8, 16, 32), 8, (3, 3, 3, 1), 7), 0)
    decoder = drawn(shapes(8, (4, 32, 16, 8, 4), 1, (1, 3, 3, 3), 1), 1)
    return encoder, decoder


@pytest.fixture(autouse=True)
def never_loaded(request, monkeypatch):
    """Whatever would import or run what a file names ends the test."""

    def forbidden(*_args, **_more):
        pytest.fail("torch.load was called")

    monkeypatch.setattr(torch, "load", forbidden)


@LAYOUTS
def test_the_tensors_are_those_of_the_state_dict(tmp_path, zipped):
    states = small_states()
    write_published(tmp_path, *states, zipped=zipped)
    assert zipfile.is_zipfile(tmp_path / "encoder.pkl") == zipped
    for name, state in zip(("encoder", "decoder"), states, strict=True):
        found = read_module(tmp_path / f"{name}.pkl", PACKAGES)
        assert set(found) == set(state)
        assert all(torch.equal(found[key], state[key]) for key in state)


@LAYOUTS
def test_shared_transposed_empty_and_half_tensors_come_out_as_they_went_in(tmp_path, zipped):
    module = nn.Module()
    module.a = nn.Parameter(torch.arange(6.0).reshape(2, 3).T)
    module.register_buffer("b", module.a.detach()[1:])
    module.register_buffer("c", torch.empty(0, 4))
    module.register_buffer("d", torch.tensor([1.5, 2.5], dtype=torch.float16))
    module.register_buffer("e", torch.tensor(7))
    torch.save(module, tmp_path / "m.pkl", _use_new_zipfile_serialization=zipped)
    found = read_module(tmp_path / "m.pkl", ("torch.nn.modules",))
    assert all(torch.equal(found[name], value) for name, value in module.state_dict().items())
    assert found["d"].dtype == torch.float16


@LAYOUTS
def test_a_class_of_another_package_is_refused(tmp_path, zipped):
    write_published(tmp_path, *small_states(), zipped=zipped)
    with pytest.raises(DataError, match=r"wants to build dall_e\.encoder\.Encoder"):
        read_module(tmp_path / "encoder.pkl", ("torch.nn.modules",))


class Run:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


ATTACKS = {
    "posix.system": lambda flag: Run(os.system, f"touch {flag}"),
    "builtins.eval": lambda flag: Run(builtins.eval, f"open({flag!r}, 'w')"),
    "builtins.getattr": lambda flag: Run(builtins.getattr, flag, "upper"),
    "torch.serialization.load": lambda flag: Run(torch.serialization.load, flag),
    "torch.hub.load": lambda flag: Run(torch.hub.load, flag, "x", "local"),
}


@LAYOUTS
@pytest.mark.parametrize("attack", ATTACKS)
def test_code_in_the_pickle_is_not_run(tmp_path, zipped, attack):
    flag, bad = tmp_path / "ran", nn.Module()
    bad.attribute = ATTACKS[attack](str(flag))
    torch.save(bad, tmp_path / "m.pkl", _use_new_zipfile_serialization=zipped)
    name = attack.removeprefix("builtins.").removeprefix("posix.").rpartition(".")[2]
    with pytest.raises(DataError, match=rf"wants to build [\w.]+\.{name}, which is no tensor"):
        read_module(tmp_path / "m.pkl", PACKAGES)
    assert not flag.exists()


@pytest.mark.parametrize("part", range(3))
def test_code_in_the_preamble_is_not_run(tmp_path, part):
    flag = tmp_path / "ran"
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, nn.Module(), []]
    parts[part] = Run(os.system, f"touch {flag}")
    stream = io.BytesIO()
    for value in parts:
        pickle.dump(value, stream, protocol=2)
    (tmp_path / "m.pkl").write_bytes(stream.getvalue())
    with pytest.raises(DataError, match=r"wants to build posix\.system"):
        read_module(tmp_path / "m.pkl", PACKAGES)
    assert not flag.exists()


def with_count(path, count: int) -> bytes:
    """The bytes of a file of the old layout whose one storage of 3 says that it has `count`."""
    content = path.read_bytes()
    assert content.count(b"K\x03N") == 1, "the length of the storage in its persistent id"
    said = b"\x8a\x08" + struct.pack("<q", count)
    return content.replace(b"K\x03N", said + b"N")


@pytest.mark.parametrize("count", [2**40, -1, 2])
def test_a_storage_that_lies_about_its_length_is_refused(tmp_path, count):
    module = nn.Module()
    module.register_buffer("a", torch.ones(3))
    torch.save(module, tmp_path / "m.pkl", _use_new_zipfile_serialization=False)
    (tmp_path / "m.pkl").write_bytes(with_count(tmp_path / "m.pkl", count))
    with pytest.raises(DataError, match="no whole module"):
        read_module(tmp_path / "m.pkl", PACKAGES)


@LAYOUTS
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(tmp_path, zipped, kept):
    write_published(tmp_path, *small_states(), zipped=zipped)
    content = (tmp_path / "encoder.pkl").read_bytes()
    (tmp_path / "encoder.pkl").write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError, match=r"encoder\.pkl is no whole module.*Download it again"):
        read_module(tmp_path / "encoder.pkl", PACKAGES)


@LAYOUTS
def test_a_state_dict_is_no_module(tmp_path, zipped):
    torch.save({"a": torch.ones(2)}, tmp_path / "m.pkl", _use_new_zipfile_serialization=zipped)
    with pytest.raises(DataError, match="a dict, not a module"):
        read_module(tmp_path / "m.pkl", PACKAGES)


def test_a_big_endian_file_is_refused(tmp_path):
    write_published(tmp_path, *small_states(), zipped=True)
    with (
        zipfile.ZipFile(tmp_path / "encoder.pkl") as there,
        zipfile.ZipFile(tmp_path / "big.pkl", "w") as copy,
    ):
        for name in there.namelist():
            content = b"big" if name.endswith("byteorder") else there.read(name)
            copy.writestr(name, content)
    with pytest.raises(DataError, match="big-endian"):
        read_module(tmp_path / "big.pkl", PACKAGES)
