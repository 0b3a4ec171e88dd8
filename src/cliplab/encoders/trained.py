"""The folder that `cliplab train clip` makes, in the layout that open_clip reads by itself.

    open_clip_config.json    model_cfg and preprocess_cfg
    open_clip_model.safetensors
    cliplab.json             what it was trained on and how; format_version

`open_clip.create_model("local-dir:FOLDER")` reads it without us.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cliplab.runtime.errors import DataError
from cliplab.runtime.storage import read_json, write_json
from cliplab.training.tensor_files import write_tensors

if TYPE_CHECKING:
    import torch

FORMAT_VERSION = 1
CONFIG, WEIGHTS, NOTES = "open_clip_config.json", "open_clip_model.safetensors", "cliplab.json"


def save_trained(
    folder: Path,
    state: Mapping[str, torch.Tensor],
    model_cfg: Mapping[str, Any],
    preprocess_cfg: Mapping[str, Any],
    notes: Mapping[str, Any],
) -> None:
    """Write an encoder's folder; the weights come last, so that a folder that has them is whole."""
    write_json(folder / CONFIG, {"model_cfg": model_cfg, "preprocess_cfg": preprocess_cfg})
    write_json(folder / NOTES, {"format_version": FORMAT_VERSION, **notes})
    write_tensors(folder / WEIGHTS, state, {"format_version": FORMAT_VERSION})


def is_trained(folder: Path) -> bool:
    """Tell whether a folder holds an encoder, whole or not."""
    return (folder / CONFIG).is_file()


def read_config(folder: Path) -> dict[str, Any]:
    """`open_clip_config.json` of a folder."""
    if (folder / NOTES).exists():
        read_json(folder / NOTES, FORMAT_VERSION)
    config = read_json(folder / CONFIG)
    if not isinstance(config, dict) or "model_cfg" not in config:
        raise DataError(f"{folder / CONFIG} has no model_cfg: it is no open_clip configuration.")
    return config


def weights_in(folder: Path) -> Path:
    """Path of the weights of a folder; ours by name, else the one file of weights there is."""
    if (folder / WEIGHTS).is_file():
        return folder / WEIGHTS
    found = sorted(p for p in folder.iterdir() if p.suffix in (".safetensors", ".bin", ".pt"))
    if len(found) != 1:
        raise DataError(
            f"{folder} holds {len(found)} files of weights where one is expected ({WEIGHTS}). "
            "If its training was cut off, run the same `cliplab train clip` again to go on."
        )
    return found[0]
