"""A checkpoint file → tensors by name: what kind of file it is, and who may have made it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cliplab.encoders.openai_archive import is_torchscript, read_torchscript
from cliplab.runtime.errors import DataError, MissingWeights

if TYPE_CHECKING:
    import torch


class Checkpoint(NamedTuple):
    """The content of a weights file."""

    state: dict[str, torch.Tensor]  # OpenCLIP's names
    from_openai: bool  # an archive of OpenAI's: QuickGELU, its own preprocessing
    digest: str  # hex SHA-256 of the file
    tokens: tuple[int, ...] | None = None  # that its captions used; None: not known, or all


def read_checkpoint(path: Path) -> Checkpoint:
    """Read safetensors, an OpenCLIP state dict (`weights_only=True`), or OpenAI's archive.

    No code in the file is ever run, whatever its name says that it is.

    Raises
    ------
    MissingWeights
        There is no such file.
    DataError
        The file is damaged, or holds something else than tensors.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise MissingWeights(f"There is no weights file {path}. Check --weights.")
    if is_torchscript(path):
        return Checkpoint(read_torchscript(path), True, file_digest(path))
    if _is_safetensors(path):
        state, tokens = _read_safetensors(path)
        return Checkpoint(state, False, file_digest(path), tokens)
    return Checkpoint(_read_torch(path), False, file_digest(path))


def file_digest(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_safetensors(path: Path) -> bool:
    with path.open("rb") as stream:
        start = stream.read(9)
    return path.suffix == ".safetensors" or (start[8:] == b"{" and start[7:8] == b"\0")


def _read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], tuple[int, ...] | None]:
    """Tensors by name, and what `trained.save_trained` says of the tokens in use."""
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get("cliplab", "{}"))
        tokens = about.get("tokens")
        return load_file(path), None if tokens is None else tuple(map(int, tokens))
    except (SafetensorError, ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is not whole safetensors ({error}). Copy or download it again."
        ) from error


def _read_torch(path: Path) -> dict[str, torch.Tensor]:
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes make PyTorch raise nearly every kind there is
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{path} is no checkpoint that can be read safely ({said[:200]}). Expected "
            "safetensors, an OpenCLIP state dict, or OpenAI's archive; nothing in it was run."
        ) from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]  # a training checkpoint
    if not isinstance(content, dict) or not content:
        raise DataError(f"{path} holds no state dict but a {type(content).__name__}.")
    strangers = [
        key
        for key, value in content.items()
        if not isinstance(key, str) or not isinstance(value, torch.Tensor)
    ]
    if strangers:
        raise DataError(f"{path} holds {strangers[0]!r}, which is no tensor: not a state dict.")
    return {key.removeprefix("module."): value for key, value in content.items()}
