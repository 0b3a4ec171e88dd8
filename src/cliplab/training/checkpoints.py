"""Where a training stands, in one safetensors file: it appears by rename, so it is whole.

Tensors are named `model/NAME` and `optimizer/INDEX/KEY`; the header's metadata hold, as JSON, the
steps done, the losses so far, and what is trained on what and how.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cliplab.runtime.errors import DataError, FormatTooNew, UsageError
from cliplab.runtime.storage import write_bytes

if TYPE_CHECKING:
    import torch
    from torch import nn

FORMAT_VERSION = 1
FILE = "checkpoint.safetensors"


class Standing(NamedTuple):
    """How far a training has come."""

    step: int  # steps done
    losses: tuple[float, ...]  # mean loss of each whole epoch
    partial: float = 0.0  # sum of the losses of the epoch under way


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    standing: Standing,
    identity: Mapping[str, Any],
) -> None:
    """Write the checkpoint of `folder`, in place of the one before."""
    from safetensors.torch import save

    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{key}": value for key, value in values.items()}
    header = {"format_version": FORMAT_VERSION, **standing._asdict(), "identity": identity}
    content = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_bytes(folder / FILE, save(content, metadata={"cliplab": json.dumps(header)}))


def load_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    identity: Mapping[str, Any],
) -> Standing | None:
    """Put model and optimiser where the checkpoint of `folder` has them; None without one.

    Raises
    ------
    UsageError
        The checkpoint is of a training with another identity.
    DataError
        The file is damaged.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})["cliplab"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise DataError(
            f"{path} is no checkpoint that can be read ({error}). Remove {folder} to train anew."
        ) from error
    if header["format_version"] > FORMAT_VERSION:
        raise FormatTooNew(path, header["format_version"], FORMAT_VERSION)
    refuse_changes(folder.parent, header["identity"], identity)
    model.load_state_dict(_under("model/", tensors))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in _under("optimizer/", tensors).items():
        index, _, key = name.partition("/")
        state.setdefault(int(index), {})[key] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    return Standing(header["step"], tuple(header["losses"]), header["partial"])


def _under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    found = {name: value for name, value in tensors.items() if name.startswith(prefix)}
    return {name.removeprefix(prefix): value for name, value in found.items()}


def refuse_changes(out: Path, there: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `UsageError` that names each difference between a training in `out` and this one."""
    now = json.loads(json.dumps(now))  # as the file has it: tuples are lists
    names = [name for name in {**there, **now} if there.get(name) != now.get(name)]
    if names:
        told = "; ".join(
            f"{n} {_short(there.get(n))} there, {_short(now.get(n))} now" for n in names
        )
        raise UsageError(
            f"{out} holds a training with other settings: {told}. Give those settings to go on "
            "with it, another --out for a new one, or remove the folder."
        )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:12]}…"
