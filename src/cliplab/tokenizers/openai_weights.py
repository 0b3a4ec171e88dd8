"""OpenAI's published dVAE: its state dicts, by their names, into this project's networks.

Their encoder calls its tensors `blocks.input.w`, `blocks.group_2.block_1.id_path.w`,
`blocks.group_2.block_1.res_path.conv_3.b`, `blocks.output.conv.w`, and the decoder does likewise.
The sizes of the networks follow from the tensors' shapes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

from cliplab.runtime.errors import DataError, UsageError
from cliplab.tokenizers.dvae import DVAEConfig
from cliplab.tokenizers.model import DVAE
from cliplab.tokenizers.quantizers.family import quantizer

_KINDS = {"w": "weight", "b": "bias"}
_ENDS = {"blocks.input": "stem", "blocks.output.conv": "head"}
_BLOCK = re.compile(r"blocks\.group_(\d+)\.block_(\d+)\.(id_path|res_path\.conv_(\d+))")


def from_openai(encoder: Mapping[str, torch.Tensor], decoder: Mapping[str, torch.Tensor]) -> DVAE:
    """Build the tokenizer of a published pair of state dicts.

    Parameters
    ----------
    encoder, decoder
        Name → tensor, as `state_dict()` of the originals gives them; float16 becomes float32.

    Returns
    -------
    DVAE
        With the quantizer `gumbel`, in evaluation mode.

    Raises
    ------
    DataError
        If names or shapes are not those of such a pair; the message names the first that differ.
    """
    encoder, decoder = _renamed(encoder, "encoder"), _renamed(decoder, "decoder")
    config = _config(encoder, decoder)
    with torch.device("meta"):
        model = DVAE(config, quantizer("gumbel", config.codes))
    for network, state, name in (
        (model.encoder, encoder, "encoder"),
        (model.decoder, decoder, "decoder"),
    ):
        _check(network.state_dict(), state, name)
        network.load_state_dict(state, assign=True)
    return model.eval()


def _renamed(state: Mapping[str, torch.Tensor], network: str) -> dict[str, torch.Tensor]:
    found = {}
    for name, tensor in state.items():
        stem, _, kind = name.rpartition(".")
        if kind not in _KINDS or (ours := _ours(stem)) is None:
            raise DataError(
                f"The {network}'s state dict has {name!r}, which is no tensor of DALL-E's "
                f"{network}. Give the state dict of OpenAI's {network}.pkl."
            )
        found[f"{ours}.{_KINDS[kind]}"] = tensor.detach().float()
    return found


def _ours(stem: str) -> str | None:
    if stem in _ENDS:
        return _ENDS[stem]
    if not (match := _BLOCK.fullmatch(stem)):
        return None
    group, block, path, conv = match.groups()
    inside = "skip" if path == "id_path" else f"body.{2 * int(conv) - 1}"
    return f"groups.{int(group) - 1}.{int(block) - 1}.{inside}"


def _config(encoder: Mapping[str, torch.Tensor], decoder: Mapping[str, torch.Tensor]) -> DVAEConfig:
    try:
        width, channels = encoder["stem.weight"].shape[:2]
        codes = encoder["head.weight"].shape[0]
        code_width, outputs = decoder["stem.weight"].shape[0], decoder["head.weight"].shape[0]
        places = [name.split(".") for name in encoder if name.startswith("groups.")]
        groups = 1 + max(int(place[1]) for place in places)
        blocks = 1 + max(int(place[2]) for place in places)
    except (KeyError, ValueError) as error:
        raise DataError(
            f"These state dicts lack tensors of DALL-E's networks ({error}); they may be cut short."
        ) from error
    try:
        return DVAEConfig(
            channels=channels,
            codes=codes,
            width=width,
            code_width=code_width,
            groups=groups,
            blocks=blocks,
            outputs=outputs,
        )
    except UsageError as error:
        raise DataError(
            f"These are no networks of DALL-E's ({error}); encoder and decoder may be swapped."
        ) from error


def _check(
    expected: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor], network: str
) -> None:
    wrong = [
        f"{name} {_shape(found.get(name))} in place of {_shape(expected.get(name))}"
        for name in sorted({*expected, *found})
        if _shape(found.get(name)) != _shape(expected.get(name))
    ]
    if wrong:
        more = f" … ({len(wrong)} in all)" if len(wrong) > 5 else ""
        raise DataError(f"The {network} does not fit: " + "; ".join(wrong[:5]) + more + ".")


def _shape(tensor: torch.Tensor | None) -> str:
    return "missing" if tensor is None else "x".join(map(str, tensor.shape))
