"""Which towers are to be trained, and open_clip's model of them with fresh weights."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cliplab.pictures.preprocessing import Preprocessing
from cliplab.runtime.errors import UnknownName, UsageError
from cliplab.runtime.storage import read_json, write_json

if TYPE_CHECKING:
    import torch
    from torch import nn

    Tokenize = Callable[[Sequence[str]], torch.Tensor]

TINY, SKETCH = "tiny", "sketch"
OWN = (TINY, SKETCH)
"""Architectures that come with cliplab.

`tiny`: a ViT of three narrow layers for pictures of 32x32 pixels, two for captions of 24 tokens.
`sketch`: CLIP's own ResNet, narrow and with one block a stage, for drawings enlarged to 64x64.
"""

_FROM_A_HUB = ("hf_model_name", "hf_tokenizer_name")


class Architecture(NamedTuple):
    """An open_clip configuration."""

    name: str  # as the user gave it
    model_cfg: Mapping[str, Any]
    preprocess_cfg: Mapping[str, Any]


class Built(NamedTuple):
    """A model with fresh weights, and what goes in front of its towers."""

    model: nn.Module
    tokenize: Tokenize  # texts → (N, T) int64
    preprocessing: Preprocessing


def read_architecture(model: str | Path) -> Architecture:
    """Find the configuration of `tiny` or `sketch`, of a name of open_clip's, or of a file.

    A file is an architecture as open_clip has them (`embed_dim`, `vision_cfg`, `text_cfg`), or an
    `open_clip_config.json` with `model_cfg` and `preprocess_cfg`.

    Raises
    ------
    UnknownName
        Neither a file nor a name that open_clip knows; the closest are named.
    UsageError
        A configuration that cannot be trained here: the message says what stands in the way.
    """
    name = str(model)
    beside = Path(__file__).with_name
    path = beside(f"{name}.json") if name in OWN else Path(name).expanduser()
    config = _read(path) if path.is_file() else _known(name)
    architecture = Architecture(name, config["model_cfg"], config.get("preprocess_cfg", {}))
    _check(architecture)
    return architecture


def _read(path: Path) -> dict[str, Any]:
    config = read_json(path)
    if isinstance(config, dict) and "model_cfg" not in config:
        config = {"model_cfg": config}
    towers = config.get("model_cfg") if isinstance(config, dict) else None
    missing = {"embed_dim", "vision_cfg", "text_cfg"}.difference(towers or ())
    if not isinstance(towers, dict) or missing:
        raise UsageError(
            f"{path} is no configuration of open_clip's: {', '.join(sorted(missing))} missing. "
            "Start from one of its model_configs, or leave --model out."
        )
    assert isinstance(config, dict)
    return config


def _known(name: str) -> dict[str, Any]:
    import open_clip

    names = open_clip.list_models()
    if name not in names:
        raise UnknownName("model", name, [*OWN, *names], hint="(nor is there such a file)")
    return {"model_cfg": open_clip.get_model_config(name)}


def _check(architecture: Architecture) -> None:
    towers = architecture.model_cfg
    if hub := next((k for k in _FROM_A_HUB if towers["text_cfg"].get(k)), None):
        raise UsageError(
            f"--model {architecture.name}: its {hub} ({towers['text_cfg'][hub]}) comes from a hub, "
            "and what is trained here reads captions with open_clip's own tokenizer. Choose "
            "another architecture, or a configuration file without it."
        )
    if "multimodal_cfg" in towers:
        raise UsageError(
            f"--model {architecture.name} writes captions too (CoCa), which the contrastive loss "
            "does not train. Choose an architecture with two towers."
        )


def build(architecture: Architecture, seed: int, *, device: str = "cpu") -> Built:
    """Build the model; its weights are those of open_clip's initialisation by `seed`.

    On the device "meta" it has sizes alone, and takes no memory.
    """
    import open_clip
    import torch

    config = {
        "model_cfg": json.loads(json.dumps(architecture.model_cfg)),
        "preprocess_cfg": dict(architecture.preprocess_cfg),
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        torch.random.fork_rng([]),
        _quietly(),
        torch.device(device),
    ):
        write_json(Path(folder) / "open_clip_config.json", config)
        torch.manual_seed(seed)
        source = f"local-dir:{folder}"
        try:
            model: Any = open_clip.create_model(
                source,
                load_weights=False,
                pretrained_image=False,
                pretrained_text=False,
                device=device,
            )
            tokenize = open_clip.get_tokenizer(source)
            preprocessing = Preprocessing.from_open_clip(model.visual.preprocess_cfg)
        except Exception as error:  # whatever a wrong field leads to
            raise UsageError(
                f"--model {architecture.name} cannot be built by open_clip: "
                f"{type(error).__name__}: {error}. Correct its configuration."
            ) from error
    return Built(model, tokenize, preprocessing)


@contextmanager
def _quietly() -> Iterator[None]:
    """open_clip warns of random weights, which are what is wanted here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
