"""Safetensors written and read a tensor at a time, so that a checkpoint costs no memory.

The library's own `save_file` first copies all tensors into bytes, and its memory-mapped reader
counts as resident memory; with the optimiser's state both would break a stated budget by the size
of the checkpoint. The format is public and small: the header's length (8 bytes, little endian), the
header (JSON: name → dtype, shape, place), the tensors' bytes.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cliplab.runtime.errors import DataError
from cliplab.runtime.storage import atomic_write

if TYPE_CHECKING:
    import torch

_NAMES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}
_DTYPES = {short: name for name, short in _NAMES.items()}
_LONGEST_HEADER = 100_000_000  # bytes, the limit of the format


def write_tensors(
    path: Path, tensors: Mapping[str, torch.Tensor], about: Mapping[str, Any]
) -> None:
    """Write a safetensors file atomically; `about` (plain types) stands in its metadata.

    Parameters
    ----------
    path
        Where it appears, whole.
    tensors
        Name → tensor, on any device; each is copied to the CPU when it is its turn.
    about
        Plain types, as JSON under the metadata key `cliplab`.
    """
    import torch

    metadata = {"format": "pt", "cliplab": json.dumps(about)}
    header: dict[str, Any] = {"__metadata__": metadata}
    place = 0
    for name, tensor in tensors.items():
        end = place + tensor.numel() * tensor.element_size()
        dtype = _NAMES[str(tensor.dtype).removeprefix("torch.")]
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [place, end]}
        place = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with atomic_write(path) as stream:
        stream.write(struct.pack("<Q", len(text)))
        stream.write(text)
        for tensor in tensors.values():
            flat = tensor.detach().cpu().contiguous().flatten()
            if flat.numel():
                stream.write(flat.view(torch.uint8).numpy().data)


class TensorFile:
    """A safetensors file: what it says of itself, and its tensors one by one."""

    def __init__(self, path: Path) -> None:
        """Read the header.

        Raises
        ------
        DataError
            If the file is cut short, or none of ours.
        """
        self.path = path
        try:
            with path.open("rb") as stream:
                (length,) = struct.unpack("<Q", stream.read(8))
                if length > _LONGEST_HEADER:
                    raise ValueError(f"a header of {length:,} bytes")
                header = json.loads(stream.read(length))
            self.about: dict[str, Any] = json.loads(header.pop("__metadata__")["cliplab"])
            self._start, self._header = 8 + length, header
            end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
            if path.stat().st_size != self._start + end:
                raise ValueError(f"{path.stat().st_size:,} bytes, not {self._start + end:,}")
        except (OSError, struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path} is no whole file of tensors ({error}).") from error

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tensors, in the order of the file."""
        return tuple(self._header)

    def tensors(self, prefix: str = "") -> Iterator[tuple[str, torch.Tensor]]:
        """Give the tensors whose names begin with `prefix`, without it, one at a time."""
        import torch

        with self.path.open("rb") as stream:
            for name, entry in self._header.items():
                if not name.startswith(prefix):
                    continue
                start, end = entry["data_offsets"]
                dtype = getattr(torch, _DTYPES[entry["dtype"]])
                if math.prod(entry["shape"]) * dtype.itemsize != end - start:
                    raise DataError(f"{self.path}: {name!r} has not the bytes of its shape.")
                stream.seek(self._start + start)
                raw = bytearray(stream.read(end - start))
                flat = torch.frombuffer(raw, dtype=dtype) if raw else torch.empty(0, dtype=dtype)
                yield name.removeprefix(prefix), flat.reshape(entry["shape"])
