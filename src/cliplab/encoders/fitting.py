"""Tensors as a checkpoint names and sizes them → as an open_clip model does."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_SCALARS = ("logit_scale", "logit_bias")
_POSITIONS = ("visual.positional_embedding", "positional_embedding", "text.positional_embedding")
_POSITION_IDS = "text.transformer.embeddings.position_ids"


def fitted(state: Mapping[str, torch.Tensor], model: Any) -> dict[str, torch.Tensor]:
    """Rename and resize a state dict as open_clip's own `load_checkpoint` does.

    That one reads the file itself; here the tensors have been read safely. Checkpoints of other
    projects are converted, older names brought up to date, scalars reshaped, and the position
    embeddings of both towers resized to the model's. What still does not fit is left for
    `load_state_dict(strict=True)` to name.

    Parameters
    ----------
    state
        Name → tensor; not changed.
    model
        The open_clip model that is to be filled.
    """
    import torch
    from open_clip.convert import convert_state_dict
    from open_clip.model import convert_to_custom_text_state_dict

    found: dict[str, torch.Tensor] = convert_state_dict(model, dict(state))
    if "positional_embedding" in found and not hasattr(model, "positional_embedding"):
        found = convert_to_custom_text_state_dict(found)
    if getattr(model, "logit_bias", None) is not None and "logit_scale" in found:
        found.setdefault("logit_bias", torch.zeros_like(found["logit_scale"]))
    for name in _SCALARS:  # some are stored as (), some as (1,)
        wanted = getattr(model, name, None)
        if name in found and wanted is not None and found[name].numel() == wanted.numel():
            found[name] = found[name].reshape(wanted.shape)
    if not hasattr(model, _POSITION_IDS):  # transformers before 4.31 kept them
        found.pop(_POSITION_IDS, None)
    _resize_positions(found, model)
    return found


def _resize_positions(found: dict[str, torch.Tensor], model: Any) -> None:
    from open_clip.model import resize_pos_embed, resize_text_pos_embed

    own = dict(model.named_parameters())
    for name in _POSITIONS:
        if name not in found or name not in own or found[name].shape == own[name].shape:
            continue
        if found[name].shape[1:] != own[name].shape[1:]:
            continue  # another width: another architecture
        found[name] = found[name].float()
        resize = resize_pos_embed if name.startswith("visual") else resize_text_pos_embed
        count = len(found[name])
        resize(found, model)
        warnings.warn(
            f"{name} has {count} positions in the file and {len(own[name])} in the "
            "architecture: they are interpolated, as open_clip does. If the file was trained at "
            "another resolution, name the architecture of that resolution.",
            UserWarning,
            stacklevel=4,
        )
