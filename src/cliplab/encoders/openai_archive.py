"""OpenAI's own checkpoints are TorchScript archives; their tensors are read, their code never run.

The archive is a zip: `NAME/data.pkl` (a pickle of the module tree), `NAME/data/0`, `NAME/data/1`, …
(raw storages), `NAME/constants.pkl` and `NAME/code/` (TorchScript source). `torch.jit.load` would
run that source. Here `data.pkl` alone is read, by an unpickler that builds nothing but tensors and
inert namespaces (`runtime/tensor_pickles.py`).
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from cliplab.runtime.errors import DataError
from cliplab.runtime.tensor_pickles import TORCHSCRIPT, read_module

if TYPE_CHECKING:
    import torch

_SMALL = ("input_resolution", "context_length", "vocab_size")  # attributes, not weights


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
    found = read_module(path, TORCHSCRIPT)
    if not found:
        raise DataError(f"{path} holds no weights: it is no encoder's checkpoint.")
    return {name: tensor for name, tensor in found.items() if name not in _SMALL}
