"""OpenAI's own checkpoints are TorchScript archives; their tensors are read, their code never run.

The archive is a zip: `NAME/data.pkl` (a pickle of the module tree), `NAME/data/0`, `NAME/data/1`, …
(raw storages), `NAME/constants.pkl` and `NAME/code/` (TorchScript source). `torch.jit.load` would
run that source. Here `data.pkl` is read by an unpickler that can build two things: tensors over the
archive's storages, and inert namespaces that stand for the modules. Everything else is refused.
"""

from __future__ import annotations

import math
import pickle
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, BinaryIO

from cliplab.runtime.errors import DataError

if TYPE_CHECKING:
    import torch

_SMALL = ("input_resolution", "context_length", "vocab_size")  # attributes, not weights
_MOST_MODULES, _DEEPEST = 100_000, 64  # a tree that refers to itself has no end


def is_torchscript(path: Path) -> bool:
    """Tell whether a file is a TorchScript archive: a zip that holds code and constants."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.partition("/")[2] for name in archive.namelist()}
    except zipfile.BadZipFile:
        return False
    return {"data.pkl", "constants.pkl"} <= names


def read_torchscript(path: Path) -> dict[str, torch.Tensor]:
    """Weights of a TorchScript archive: dotted name → tensor, as its `state_dict()` would give.

    Raises
    ------
    DataError
        A damaged archive, or one whose pickle wants to build anything but tensors and modules.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _weights(archive, path)
    except DataError:
        raise
    except Exception as error:  # a hostile or truncated pickle may raise whatever it likes
        raise DataError(
            f"{path} is a damaged TorchScript archive ({type(error).__name__}: {error}). "
            "Download it again."
        ) from error


def _weights(archive: zipfile.ZipFile, path: Path) -> dict[str, torch.Tensor]:
    members = {name.partition("/")[2]: name for name in archive.namelist()}
    # PyTorch packs the source alone: what unpacks to far more than the file is a bomb.
    if sum(i.file_size for i in archive.infolist()) > 4 * path.stat().st_size + (16 << 20):
        raise DataError(f"{path} would unpack to many times its size; it is refused.")
    with archive.open(members["data.pkl"]) as stream:
        root = _TensorsAlone(stream, archive, members, path).load()
    found = _tensors(root)
    if not found:
        raise DataError(f"{path} holds no weights: it is no encoder's checkpoint.")
    return {name: tensor for name, tensor in found.items() if name not in _SMALL}


class _TensorsAlone(pickle.Unpickler):
    """Builds tensors over the archive's storages, inert namespaces, and nothing else."""

    def __init__(
        self, stream: BinaryIO | Any, archive: zipfile.ZipFile, members: dict[str, str], path: Path
    ) -> None:
        super().__init__(stream)
        self._archive, self._members, self._path = archive, members, path
        self._storages: dict[str, torch.Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        import collections

        import torch

        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Rebuild()
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda data, *_more: data
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch" and name in _DTYPES:
            return _Storage(getattr(torch, _DTYPES[name]))
        if module.split(".")[0] == "__torch__":  # a module's class: an inert namespace instead
            return _Inert
        if module == "torch.jit._pickle" and name in _LISTS:
            return list
        raise DataError(
            f"{self._path} wants to build {module}.{name}, which is no tensor; it is refused. "
            "Only load checkpoints from a source that you trust."
        )

    def persistent_load(self, pid: Any) -> torch.Tensor:
        import torch

        kind, storage, key, _device, _count = pid
        if kind != "storage" or not isinstance(storage, _Storage):
            raise DataError(f"{self._path} refers to something that is no storage; it is refused.")
        if key not in self._storages:
            raw = bytearray(self._archive.read(self._members[f"data/{key}"]))
            self._storages[key] = (
                torch.frombuffer(raw, dtype=storage.dtype)
                if raw
                else torch.empty(0, dtype=storage.dtype)
            )
        return self._storages[key]


_DTYPES = {
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "DoubleStorage": "float64",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
_LISTS = ("build_intlist", "build_doublelist", "build_boollist", "build_tensorlist")


class _Storage:
    """Stands for a storage class in the pickle; only its dtype matters."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype


class _Rebuild:
    """Stands for PyTorch's function; without attributes, so that a pickle can set none."""

    __slots__ = ()

    def __call__(self, storage: Any, offset: int, size: Any, stride: Any, *_more: Any) -> Any:
        return _rebuild_tensor(storage, offset, size, stride)


class _Inert(SimpleNamespace):
    """Stands for a module of the archive: attributes, no behaviour."""

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update({str(key): value for key, value in state.items()})


def _rebuild_tensor(
    storage: torch.Tensor,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
) -> torch.Tensor:
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) if size else offset
    if min((0, offset, *size, *stride)) < 0 or (0 not in size and last >= len(storage)):
        raise ValueError("a tensor lies outside its storage")
    if math.prod(size) > len(storage):  # weights are never repeated views; a bomb may be
        raise ValueError(
            f"a tensor of {math.prod(size):,} numbers in a storage of {len(storage):,}"
        )
    return storage.as_strided(size, stride, offset)


def _tensors(root: _Inert) -> dict[str, torch.Tensor]:
    """Dotted name → tensor of all modules."""
    import torch

    found: dict[str, torch.Tensor] = {}
    waiting, visited = [("", root, 0)], 0
    while waiting:
        prefix, node, depth = waiting.pop()
        visited += 1
        if visited > _MOST_MODULES or depth > _DEEPEST:
            raise ValueError("too many modules, or one inside itself")
        for name, value in vars(node).items():
            if isinstance(value, torch.Tensor):
                found[prefix + name] = value
            elif isinstance(value, _Inert):
                waiting.append((f"{prefix}{name}.", value, depth + 1))
    return found
