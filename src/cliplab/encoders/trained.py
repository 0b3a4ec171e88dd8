"""The folder that `cliplab train clip` makes, in the layout that open_clip reads by itself.

    open_clip_config.json    model_cfg and preprocess_cfg
    open_clip_model.safetensors
    cliplab.json             what it was trained on and how; format_version

`open_clip.create_model("local-dir:FOLDER")` reads it without us, unless its table of tokens is
pruned (format 2): to ship it, a small one's 49,408 rows are cut down to the dozens that were
trained, and its matrices are kept as float16.

Which tokens those are (the captions') stands in the metadata of the weights, under `tokens`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cliplab.encoders.token_table import pruned_state
from cliplab.runtime.errors import DataError
from cliplab.runtime.storage import read_json, write_json
from cliplab.training.tensor_files import write_tensors

if TYPE_CHECKING:
    import torch

WHOLE, PRUNED = 1, 2  # formats
FORMAT_VERSION = PRUNED
CONFIG, WEIGHTS, NOTES = "open_clip_config.json", "open_clip_model.safetensors", "cliplab.json"


def save_trained(
    folder: Path,
    state: Mapping[str, torch.Tensor],
    model_cfg: Mapping[str, Any],
    preprocess_cfg: Mapping[str, Any],
    notes: Mapping[str, Any],
    *,
    tokens: Sequence[int] | None = None,
    prune: bool = False,
    half: bool = False,
) -> None:
    """Write an encoder's folder; the weights come last, so that a folder that has them is whole.

    Parameters
    ----------
    folder
        Where.
    state
        Weights under open_clip's names.
    model_cfg, preprocess_cfg
        Its configuration.
    notes
        What it was trained on and how, in plain types.
    tokens
        Numbers of the tokens that the captions used, ascending; None: not known, or all.
    prune
        Leave of the table of tokens these rows alone; the others are read as zeros.
    half
        Keep matrices as float16; they are read as float32.
    """
    version = PRUNED if prune else WHOLE
    about: dict[str, Any] = {"format_version": version}
    if tokens is not None:
        about["tokens"] = list(tokens)
    if prune:
        assert tokens is not None
        state = pruned_state(state, tokens)
    if half:
        state = {name: _halved(value) for name, value in state.items()}
    write_json(folder / CONFIG, {"model_cfg": model_cfg, "preprocess_cfg": preprocess_cfg})
    write_json(folder / NOTES, {"format_version": version, **notes})
    write_tensors(folder / WEIGHTS, state, about)


def _halved(value: torch.Tensor) -> torch.Tensor:
    """Matrices as float16; what is smaller (biases, norms, the scale) takes no room."""
    return value.half() if value.ndim >= 2 and value.is_floating_point() else value


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
