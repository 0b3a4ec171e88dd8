"""Where a training stands, in one safetensors file: it appears by rename, so it is whole.

Tensors are named `model/NAME`, `optimizer/INDEX/KEY` and `average/NAME`; the header's metadata
hold, as JSON, the steps done, the losses so far, what is trained on what and how, and notes (the
plan that keeps within memory, the threads), which a resumed training goes by.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cliplab.runtime.errors import DataError, FormatTooNew, UsageError
from cliplab.training.tensor_files import TensorFile, write_tensors

if TYPE_CHECKING:
    import torch
    from torch import nn

FORMAT_VERSION = 2
FILE = "checkpoint.safetensors"


class Standing(NamedTuple):
    """How far a training has come."""

    step: int  # steps done
    losses: tuple[float, ...]  # mean loss of each whole epoch
    partial: float = 0.0  # sum of the losses of the epoch under way


class Trained(NamedTuple):
    """What a training changes, and so what a checkpoint holds."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: Mapping[str, torch.Tensor] | None = None  # moving average of the state, by its names


def save_checkpoint(
    folder: Path,
    trained: Trained,
    standing: Standing,
    identity: Mapping[str, Any],
    notes: Mapping[str, Any] | None = None,
) -> None:
    """Write the checkpoint of `folder`, in place of the one before."""
    tensors = {f"model/{name}": value for name, value in trained.model.state_dict().items()}
    for index, values in trained.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{key}": value for key, value in values.items()}
    for name, value in (trained.average or {}).items():
        tensors[f"average/{name}"] = value
    about = {
        "format_version": FORMAT_VERSION,
        **standing._asdict(),
        "identity": identity,
        "notes": notes or {},
    }
    write_tensors(folder / FILE, tensors, about)


def checkpoint_notes(folder: Path) -> Mapping[str, Any] | None:
    """Give the notes of the checkpoint in `folder`; None without one.

    Raises
    ------
    DataError
        The file is damaged.
    """
    if not (folder / FILE).is_file():
        return None
    notes: Mapping[str, Any] = _open(folder).about["notes"]
    return notes


def load_checkpoint(folder: Path, trained: Trained, identity: Mapping[str, Any]) -> Standing | None:
    """Put all that is trained where the checkpoint of `folder` has it; None without one.

    Tensors are read one at a time into those that are there, so that no second copy exists.

    Raises
    ------
    UsageError
        The checkpoint is of a training with another identity.
    DataError
        The file is damaged.
    """
    if not (folder / FILE).is_file():
        return None
    file = _open(folder)
    refuse_changes(folder.parent, file.about["identity"], identity)
    _fill("model", file, trained.model.state_dict())
    _fill("average", file, trained.average or {})
    _fill_optimizer(file, trained.optimizer)
    return Standing(file.about["step"], tuple(file.about["losses"]), file.about["partial"])


def _open(folder: Path) -> TensorFile:
    path = folder / FILE
    try:
        file = TensorFile(path)
    except DataError as error:
        raise DataError(f"{error} Remove {folder} to train anew.") from error
    version = file.about.get("format_version", 0)
    if version > FORMAT_VERSION:
        raise FormatTooNew(path, version, FORMAT_VERSION)
    if version < FORMAT_VERSION:
        raise DataError(
            f"{path} was written by an older cliplab, whose trainings cannot be gone on with. "
            f"Finish it with that version, or remove {folder} to train anew."
        )
    return file


def _fill(part: str, file: TensorFile, places: Mapping[str, torch.Tensor]) -> None:
    import torch

    left = dict(places)
    with torch.no_grad():
        for name, value in file.tensors(f"{part}/"):
            place = left.pop(name, None)
            if place is None or place.shape != value.shape:
                raise DataError(
                    f"{file.path}: {part}/{name} does not fit. Remove {file.path.parent} to train "
                    "anew."
                )
            place.copy_(value)
    if left:
        raise DataError(f"{file.path} lacks {part}/{next(iter(left))}. Remove it to train anew.")


def _fill_optimizer(file: TensorFile, optimizer: torch.optim.Optimizer) -> None:
    """Put the state back parameter by parameter, in the order of the groups.

    Each tensor lies in memory as its parameter does: fused optimizers go through both as they lie.
    """
    import torch

    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for name, value in file.tensors("optimizer/"):
        index, _, key = name.partition("/")
        parameter = parameters[int(index)]
        if key != "step":
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        optimizer.state[parameter][key] = value


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
