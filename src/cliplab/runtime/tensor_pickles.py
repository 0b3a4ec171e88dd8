"""Modules that PyTorch pickled: their tensors are read, their code is never run.

Three layouts hold a pickled tree of modules and the raw storages of its tensors:

- a zip of `torch.jit.save` (TorchScript), `NAME/data.pkl` and `NAME/data/0`, `NAME/data/1`, …;
- a zip of `torch.save`, the same but for the names of the classes;
- the file of `torch.save` before PyTorch 1.6: pickles of a magic number, a version, the system's
  sizes, the tree and the list of storages, then each storage: its length (8 bytes) and its bytes.

`torch.load` would import the classes and run what the pickle asks for. The unpickler here builds
two things: tensors over the file's storages, and inert namespaces that stand for modules.
Everything else is refused.
"""

from __future__ import annotations

import math
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any

from cliplab.runtime.errors import DataError

if TYPE_CHECKING:
    import torch

TORCHSCRIPT = ("__torch__",)  # package of the classes in a TorchScript archive

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001  # of the layout before PyTorch 1.6
_MOST_MODULES, _DEEPEST = 100_000, 64  # a tree that refers to itself has no end
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
_OWN = ("_parameters", "_buffers")  # of a module pickled by `torch.save`
_CHILDREN = "_modules"


def read_module(path: Path, packages: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """Give the tensors of a pickled module: dotted name → tensor, as `state_dict()` names them.

    Parameters
    ----------
    path
        A file of `torch.save` (either layout) or `torch.jit.save`.
    packages
        Packages and modules whose classes may stand in the tree; they are not imported.

    Raises
    ------
    DataError
        A damaged file, or one whose pickle wants to build anything but tensors and modules.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                root = _in_zip(archive, path, packages)
        else:
            with path.open("rb") as stream:
                root = _in_sequence(stream, path, packages)
        if not isinstance(root, Inert):
            raise ValueError(f"a {type(root).__name__}, not a module")
        return _tensors(root)
    except DataError:
        raise
    except Exception as error:  # a hostile or truncated pickle may raise whatever it likes
        raise DataError(
            f"{path} is no whole module of PyTorch's ({type(error).__name__}: {error}). "
            "Download it again."
        ) from error


# ------------------------------------------------------------------------------- the layouts


def _in_zip(archive: zipfile.ZipFile, path: Path, packages: tuple[str, ...]) -> Any:
    members = {name.partition("/")[2]: name for name in archive.namelist()}
    # PyTorch packs the source alone: what unpacks to far more than the file is a bomb.
    if sum(i.file_size for i in archive.infolist()) > 4 * path.stat().st_size + (16 << 20):
        raise DataError(f"{path} would unpack to many times its size; it is refused.")
    if "byteorder" in members and archive.read(members["byteorder"]) != b"little":
        raise DataError(f"{path} was written on a big-endian machine; such files are not read.")
    import torch

    storages: dict[str, torch.Tensor] = {}

    def storage(key: str, dtype: torch.dtype, _count: int) -> torch.Tensor:
        if key not in storages:
            raw = bytearray(archive.read(members[f"data/{key}"]))
            storages[key] = (
                torch.frombuffer(raw, dtype=dtype) if raw else torch.empty(0, dtype=dtype)
            )
        return storages[key]

    with archive.open(members["data.pkl"]) as stream:
        return TensorsAlone(stream, path, packages, storage).load()


def _in_sequence(stream: IO[bytes], path: Path, packages: tuple[str, ...]) -> Any:
    import torch

    storages: dict[str, torch.Tensor] = {}
    left = path.stat().st_size  # what all storages may take together: they lie in the file

    def storage(key: str, dtype: torch.dtype, count: int) -> torch.Tensor:
        nonlocal left
        if key not in storages:
            left -= count * dtype.itemsize
            if count < 0 or left < 0:
                raise ValueError(f"a storage of {count:,} numbers, more than the file holds")
            storages[key] = torch.empty(count, dtype=dtype)
        return storages[key]

    def unpickled() -> Any:
        return TensorsAlone(stream, path, packages, storage).load()

    if unpickled() != _MAGIC or unpickled() != _VERSION:
        raise ValueError("it is no file of torch.save")
    if not unpickled().get("little_endian"):
        raise DataError(f"{path} was written on a big-endian machine; such files are not read.")
    root, keys = unpickled(), unpickled()
    for key in keys:
        raw = storages[key].view(torch.uint8).numpy()
        count = int.from_bytes(stream.read(8), "little")
        if count != len(storages[key]) or stream.readinto(raw.data) != len(raw):  # type: ignore[attr-defined]
            raise ValueError(f"storage {key} is cut short")
    if unread := set(storages) - set(keys):
        raise ValueError(f"storage {unread.pop()} is missing")
    return root


# ------------------------------------------------------------------------------- the unpickler


class TensorsAlone(pickle.Unpickler):
    """Builds tensors over storages, inert namespaces, and nothing else."""

    def __init__(
        self,
        stream: IO[bytes],
        path: Path,
        packages: tuple[str, ...],
        storage: Callable[[str, torch.dtype, int], torch.Tensor],
    ) -> None:
        super().__init__(stream)
        self._path, self._packages, self._storage = path, packages, storage

    def find_class(self, module: str, name: str) -> Any:
        """Give what stands for a class or function of the pickle; nothing is imported."""
        import collections

        import torch

        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Rebuild()
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _First()
        if (module, name) == ("torch", "device"):
            return _First()
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module in ("builtins", "__builtin__") and name == "set":
            return _First()
        if module == "torch" and name in _DTYPES:
            return _Storage(getattr(torch, _DTYPES[name]))
        if module == "torch.jit._pickle" and name in _LISTS:
            return list
        if any(module == p or module.startswith(f"{p}.") for p in self._packages):
            return Inert
        raise DataError(
            f"{self._path} wants to build {module}.{name}, which is no tensor; it is refused. "
            "Only load checkpoints from a source that you trust."
        )

    def persistent_load(self, pid: Any) -> Any:
        """Give the storage that the pickle refers to, or what stands for a module's class."""
        kind, what, *more = pid
        if kind == "module" and what is Inert:
            return Inert  # with the class's source, which is not read
        if kind != "storage" or not isinstance(what, _Storage):
            raise DataError(f"{self._path} refers to something that is no storage; it is refused.")
        key, _device, count, *view = more
        if any(part is not None for part in view):
            raise ValueError("a storage that is part of another")
        return self._storage(str(key), what.dtype, int(count))


class _Storage:
    """Stands for a storage class in the pickle; only its dtype matters."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype


class _Rebuild:
    """Stands for PyTorch's function; without attributes, so that a pickle can set none."""

    __slots__ = ()

    def __call__(self, storage: Any, offset: int, size: Any, stride: Any, *_more: Any) -> Any:
        return rebuild_tensor(storage, offset, size, stride)


class _First:
    """Stands for a function whose first argument is all that is wanted of its result."""

    __slots__ = ()

    def __call__(self, first: Any, *_more: Any) -> Any:
        return first


class Inert(SimpleNamespace):
    """Stands for a module: attributes, no behaviour."""

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update({str(key): value for key, value in state.items()})


def rebuild_tensor(
    storage: torch.Tensor,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
) -> torch.Tensor:
    """Give a view of a storage (n,), refused where it is larger than the storage or outside it."""
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) if size else offset
    if min((0, offset, *size, *stride)) < 0 or (0 not in size and last >= len(storage)):
        raise ValueError("a tensor lies outside its storage")
    if math.prod(size) > len(storage):  # weights are never repeated views; a bomb may be
        raise ValueError(
            f"a tensor of {math.prod(size):,} numbers in a storage of {len(storage):,}"
        )
    return storage.as_strided(size, stride, offset)


# ------------------------------------------------------------------------------- the tree


def _tensors(root: Inert) -> dict[str, torch.Tensor]:
    """Dotted name → tensor of all modules."""
    import torch

    found: dict[str, torch.Tensor] = {}
    waiting, visited = [("", root, 0)], 0
    while waiting:
        prefix, node, depth = waiting.pop()
        visited += 1
        if visited > _MOST_MODULES or depth > _DEEPEST:
            raise ValueError("too many modules, or one inside itself")
        for name, value in _members(node).items():
            if isinstance(value, torch.Tensor):
                found[prefix + name] = value
            elif isinstance(value, Inert):
                waiting.append((f"{prefix}{name}.", value, depth + 1))
    return found


def _members(node: Inert) -> dict[str, Any]:
    """Tensors and modules of a module: its attributes, or those that `torch.save` keeps apart."""
    found = dict(vars(node))
    for name in (*_OWN, _CHILDREN):
        inside = found.pop(name, None)
        if isinstance(inside, Mapping):
            found |= {str(key): value for key, value in inside.items()}
    return found
