"""OpenAI's archives give their tensors; hostile and damaged ones run nothing and are refused."""

from __future__ import annotations

import builtins
import collections
import io
import json
import os
import pickle
import sys
import types
import zipfile

import pytest
import torch
from torch import nn

from cliplab.encoders.openai_archive import is_torchscript, read_torchscript
from cliplab.encoders.weights import read_checkpoint
from cliplab.runtime.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.* is deprecated:FutureWarning")


@pytest.fixture
def never_run(monkeypatch):
    """What would run the archive's own code ends the test."""

    def forbidden(*_args, **_more):
        pytest.fail("torch.jit.load was called")

    monkeypatch.setattr(torch.jit, "load", forbidden)
    monkeypatch.setattr(torch._C, "import_ir_module", forbidden)


def tree(tensors: dict[str, torch.Tensor], numbers: dict[str, int]) -> nn.Module:
    """Modules of OpenAI's names: parameters, the three sizes as buffers, plain numbers."""
    root = _Node()
    for name, value in {**tensors, **numbers}.items():
        *parents, leaf = name.split(".")
        node = root
        for parent in parents:
            if parent not in node._modules:
                node.add_module(parent, _Node())
            node = node._modules[parent]
        if isinstance(value, int):
            setattr(node, leaf, value)
        elif value.is_floating_point():
            node.register_parameter(leaf, nn.Parameter(value, requires_grad=False))
        else:
            node.register_buffer(leaf, value)
    return root


class _Node(nn.Module):
    def forward(self, x):
        return x


def of_shape(shape, dtype: str, generator: torch.Generator) -> torch.Tensor:
    if dtype == "int64":
        return torch.tensor(7)
    return torch.randn(shape, generator=generator).to(getattr(torch, dtype))


def save(path, tensors, numbers):
    torch.jit.script(tree(tensors, numbers)).save(path)


def write(path, tree: bytes, constants: bytes = b"\x80\x02).", **members: bytes):
    """Write an archive by hand; `members` are keyed with __ for /."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", tree)
        archive.writestr("x/constants.pkl", constants)
        for name, content in members.items():
            archive.writestr("x/" + name.replace("__", "/", 1), content)


@pytest.fixture
def module_class(monkeypatch):
    """A class that is pickled as TorchScript pickles its modules."""
    made = types.ModuleType("__torch__")
    made.Module = type("Module", (), {"__module__": "__torch__"})
    monkeypatch.setitem(sys.modules, "__torch__", made)
    return made.Module


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, _Storage):
            return ("storage", torch.FloatStorage, "0", "cpu", 4)
        return None


class _Storage:
    pass


class _View:
    def __init__(self, offset, size, stride):
        self.where = (offset, size, stride)

    def __reduce__(self):
        rebuilt = (_Storage(), *self.where, False, collections.OrderedDict())
        return torch._utils._rebuild_tensor_v2, rebuilt


def pickled(value) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream, protocol=2).dump(value)
    return stream.getvalue()


def test_reads_what_torchscript_would(tmp_path, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    tensors = {
        "logit_scale": of_shape((), "float32", generator),
        "visual.conv1.weight": of_shape((4, 3, 2, 2), "float16", generator),
        "visual.transformer.resblocks.0.ln_1.bias": of_shape((4,), "float32", generator),
        "transposed": of_shape((3, 5), "float32", generator).T,
        "visual.bn1.num_batches_tracked": torch.tensor(3),
        "context_length": torch.tensor(77),
    }
    save(tmp_path / "a.pt", tensors, {"visual.transformer.resblocks.0.attn.num_heads": 12})
    expected = torch.jit.load(tmp_path / "a.pt").state_dict()
    monkeypatch.setattr(torch.jit, "load", lambda *_: pytest.fail("torch.jit.load was called"))
    found = read_torchscript(tmp_path / "a.pt")
    assert set(found) == set(expected) - {"context_length"}
    for name, tensor in found.items():
        assert tensor.dtype == expected[name].dtype
        assert torch.equal(tensor, expected[name]), name


def test_reads_the_true_layout(tmp_path, shared_data, never_run):
    table = json.loads((shared_data / "clip" / "vit_b_32_parameter_table.json").read_text())
    generator = torch.Generator().manual_seed(0)
    numbers = {name: entry["value"] for name, entry in table.items() if "value" in entry}
    tensors = {  # the names, dtypes and number of dimensions are true; the sizes are not
        name: of_shape([2] * len(entry["shape"]), entry["dtype"], generator)
        for name, entry in table.items()
        if "shape" in entry
    }
    save(tmp_path / "a.pt", tensors, numbers)
    found = read_torchscript(tmp_path / "a.pt")
    assert set(found) == set(tensors) - {"input_resolution", "context_length", "vocab_size"}
    assert all(torch.equal(found[name], tensors[name]) for name in found)


@pytest.mark.slow
def test_a_whole_vit_b_32_of_the_true_layout_becomes_an_encoder(tmp_path, shared_data, never_run):
    from cliplab.encoders.open_clip import load_encoder

    table = json.loads((shared_data / "clip" / "vit_b_32_parameter_table.json").read_text())
    generator = torch.Generator().manual_seed(0)
    tensors = {
        name: 0.02 * of_shape(entry["shape"], entry["dtype"], generator)
        if entry["dtype"] != "int64"
        else torch.tensor(7)
        for name, entry in table.items()
        if "shape" in entry
    }
    numbers = {name: entry["value"] for name, entry in table.items() if "value" in entry}
    save(tmp_path / "ViT-B-32.pt", tensors, numbers)
    encoder = load_encoder("ViT-B-32", weights=tmp_path / "ViT-B-32.pt", device="cpu")
    assert (encoder.width, encoder.feature_width, encoder.resolution) == (512, 768, (224, 224))
    assert encoder.identity["activation"] == "quick_gelu"
    assert torch.equal(encoder._model.visual.conv1.weight, tensors["visual.conv1.weight"].float())


def test_a_state_dict_of_pytorch_is_no_torchscript(tmp_path):
    torch.save({"a": torch.zeros(2)}, tmp_path / "a.pt")
    assert not is_torchscript(tmp_path / "a.pt")


# ---------------------------------------------------------------------------- hostile files


class Run:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


ATTACKS = {
    "system": lambda flag: Run(os.system, f"touch {flag}"),
    "eval": lambda flag: Run(builtins.eval, f"open({flag!r}, 'w')"),
    "exec": lambda flag: Run(builtins.exec, f"open({flag!r}, 'w')"),
    "getattr": lambda flag: Run(builtins.getattr, flag, "upper"),
    "open": lambda flag: Run(open, flag, "w"),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("inside", [False, True])
def test_code_in_the_pickle_is_not_run(tmp_path, module_class, never_run, attack, inside):
    flag = tmp_path / "ran"
    bad = module = ATTACKS[attack](str(flag))
    if inside:
        module = module_class()
        module.weight = bad
    write(tmp_path / "a.pt", pickled(module))
    with pytest.raises(DataError, match=rf"wants to build \w+\.{attack}, which is no tensor"):
        read_checkpoint(tmp_path / "a.pt")
    assert not flag.exists()


def test_code_in_the_constants_is_not_run(tmp_path, module_class, never_run):
    flag = tmp_path / "ran"
    module = module_class()
    module.weight = _View(0, (4,), (1,))
    bad = pickled(ATTACKS["system"](str(flag)))
    write(tmp_path / "a.pt", pickled(module), constants=bad, data__0=bytes(16))
    assert set(read_checkpoint(tmp_path / "a.pt").state) == {"weight"}
    assert not flag.exists()


def test_source_in_the_archive_is_not_read(tmp_path, module_class, never_run):
    module = module_class()
    module.weight = _View(0, (2, 2), (2, 1))
    hostile = (
        b"import os; os.system('exit 1')\nclass Module(Module):\n  def __setstate__(self): 1/0"
    )
    values = torch.arange(4.0)
    write(
        tmp_path / "a.pt",
        pickled(module),
        data__0=values.numpy().tobytes(),
        code____torch__=hostile,
    )
    found = read_checkpoint(tmp_path / "a.pt")
    assert found.from_openai
    assert torch.equal(found.state["weight"], values.reshape(2, 2))


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [(0, (5,), (1,)), (1, (2, 2), (2, 1)), (-1, (1,), (1,)), (0, (2,), (-1,)), (0, (2,), (2**40,))],
)
def test_a_tensor_outside_its_storage_is_refused(
    tmp_path, module_class, never_run, offset, size, stride
):
    module = module_class()
    module.weight = _View(offset, size, stride)
    write(tmp_path / "a.pt", pickled(module), data__0=torch.arange(4.0).numpy().tobytes())
    with pytest.raises(DataError, match="outside its storage"):
        read_checkpoint(tmp_path / "a.pt")


def test_a_tensor_larger_than_its_storage_is_refused(tmp_path, module_class, never_run):
    module = module_class()
    module.positional_embedding = _View(0, (10**9, 512), (0, 0))
    write(tmp_path / "a.pt", pickled(module), data__0=torch.arange(4.0).numpy().tobytes())
    with pytest.raises(DataError, match="512,000,000,000 numbers in a storage of 4"):
        read_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize("state", [(None, {"__defaults__": (1,)}), {"__setstate__": 1}])
def test_a_pickle_changes_nothing_of_ours(tmp_path, never_run, state):
    from cliplab.runtime import tensor_pickles as ours

    functions = (ours.rebuild_tensor, ours._Rebuild.__call__, ours._Storage, ours.Inert)
    before = [(dict(f.__dict__), getattr(f, "__defaults__", None)) for f in functions]
    for name in (b"torch._utils\n_rebuild_tensor_v2", b"torch\nFloatStorage", b"__torch__\nModule"):
        attack = b"\x80\x02c" + name + b"\n" + pickle.dumps(state, protocol=2)[2:-1] + b"b."
        write(tmp_path / "a.pt", attack)
        with pytest.raises(DataError):
            read_checkpoint(tmp_path / "a.pt")
    assert [(dict(f.__dict__), getattr(f, "__defaults__", None)) for f in functions] == before


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path, module_class, never_run):
    module = module_class()
    module.weight = _View(0, (4,), (1,))
    with zipfile.ZipFile(tmp_path / "a.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", pickled(module))
        archive.writestr("x/constants.pkl", b"")
        archive.writestr("x/data/0", bytes(40 << 20))
    with pytest.raises(DataError, match="many times its size"):
        read_checkpoint(tmp_path / "a.pt")


def test_a_tree_that_holds_itself_ends(tmp_path, module_class, never_run):
    module = module_class()
    module.left = module.right = module
    write(tmp_path / "a.pt", pickled(module))
    with pytest.raises(DataError, match="modules"):
        read_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_truncated_archive_is_refused(tmp_path, never_run, kept):
    save(tmp_path / "a.pt", {"weight": torch.zeros(1000)}, {})
    content = (tmp_path / "a.pt").read_bytes()
    (tmp_path / "a.pt").write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError, match=r"a\.pt"):
        read_checkpoint(tmp_path / "a.pt")


def test_a_truncated_pickle_is_refused(tmp_path, module_class, never_run):
    write(tmp_path / "a.pt", pickled(module_class())[:-3])
    with pytest.raises(DataError, match=r"no whole module of PyTorch.*Download it again"):
        read_checkpoint(tmp_path / "a.pt")
