"""Weights → Encoder: every architecture and published tag of open_clip, and local files of them."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cliplab.encoders import published, trained
from cliplab.encoders.encoder import OpenClipEncoder
from cliplab.encoders.fitting import fitted
from cliplab.encoders.weights import Checkpoint, read_checkpoint
from cliplab.nouns import DEFAULT_ENCODER, digest_of
from cliplab.runtime.devices import check_precision, choose_device
from cliplab.runtime.errors import CliplabError, DataError, MissingWeights, UsageError
from cliplab.runtime.shipped import ENCODER, shipped
from cliplab.runtime.shipped import NAME as QUICKDRAW

if TYPE_CHECKING:
    from torch import nn

_PREPROCESSING = ("mean", "std", "interpolation", "resize_mode", "fill_color", "size")


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What is to be built, before a tensor is made."""

    name: str  # as the user gave it
    source: str  # what open_clip builds: an architecture's name, or "local-dir:FOLDER"
    weights: Path
    config: Mapping[str, Any]  # the architecture, as open_clip's configuration has it
    quick_gelu: bool | None  # None: as the architecture says
    preprocessing: Mapping[str, Any] = field(default_factory=dict)  # over the architecture's own


def load_encoder(
    name: str | Path = DEFAULT_ENCODER,
    *,
    weights: str | Path | None = None,
    device: str = "auto",
    precision: str | None = None,
) -> OpenClipEncoder:
    """Load an encoder with its preprocessing, logit scale and identity.

    The activation follows the weights, not the name: a published tag has the one that it was
    trained with (`ViT-B-32/openai` is built with QuickGELU, as `ViT-B-32-quickgelu/openai` is), an
    archive of OpenAI's has QuickGELU, any other local file has the architecture's.

    Parameters
    ----------
    name
        OpenCLIP's `ARCH/TAG`; a bare `ARCH` with `weights`; a folder made by
        `cliplab train clip`; or `quickdraw`, the CLIP of drawings that comes with cliplab.
    weights
        A local checkpoint: safetensors, an OpenCLIP state dict, or OpenAI's TorchScript archive,
        whose code is not run. With `ARCH/TAG` it takes the tag's activation and preprocessing;
        with a bare `ARCH`, those of an `open_clip_config.json` beside the file, else the
        architecture's defaults, with a warning.
    device
        "auto", "cpu", "cuda", "cuda:1" or "mps".
    precision
        "fp32" (default), "bf16" or "fp16": the weights are cast as open_clip casts them. Vectors
        come out as float32 in any case.

    Raises
    ------
    UnknownName
        No such architecture, tag or folder; the closest are named.
    MissingWeights
        Published weights that are not cached and cannot be downloaded; or a text tower that wants
        a hub.
    DataError
        A file that does not fit the architecture, or is damaged.
    """
    device = choose_device(device)
    precision = check_precision(precision or "fp32", device)
    blueprint = _blueprint(str(name), None if weights is None else Path(weights).expanduser())
    checkpoint = read_checkpoint(blueprint.weights)
    if checkpoint.from_openai:
        blueprint = _as_openai(blueprint)
    model = _build(blueprint, device, precision)
    _fill(model, checkpoint, blueprint)
    return OpenClipEncoder(
        name=blueprint.name,
        model=model,
        tokenize_source=blueprint.source,
        architecture=_architecture(blueprint),
        weights_digest=checkpoint.digest,
        known_tokens=checkpoint.tokens,
        device=device,
        precision=precision,
    )


# ------------------------------------------------------------------------------- what to build


def _blueprint(name: str, weights: Path | None) -> Blueprint:
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _of_folder(name, folder, weights)
    if name == QUICKDRAW:
        return _of_folder(name, shipped(ENCODER), weights)
    architecture, _, tag = name.partition("/")
    if tag:
        return _of_tag(name, architecture, tag, weights)
    published.check_architecture(architecture)
    if weights is None:
        import open_clip

        tags = open_clip.list_pretrained_tags_by_model(architecture)
        known = f" Published: {', '.join(f'{architecture}/{t}' for t in tags)}." if tags else ""
        raise UsageError(
            f"{architecture} is an architecture; say which weights: {architecture}/TAG, or "
            f"--weights FILE.{known}"
        )
    return _of_file(name, weights)


def _of_folder(name: str, folder: Path, weights: Path | None) -> Blueprint:
    if not trained.is_trained(folder):
        raise UsageError(
            f"{folder} is a folder but holds no encoder ({trained.CONFIG}). Name one made by "
            "`cliplab train clip`, or an ARCH/TAG (see `cliplab encoders`)."
        )
    config = trained.read_config(folder)
    file = weights or trained.weights_in(folder)
    source = f"local-dir:{folder}"
    return Blueprint(
        name, source, file, config["model_cfg"], None, config.get("preprocess_cfg", {})
    )


def _of_tag(name: str, architecture: str, tag: str, weights: Path | None) -> Blueprint:
    import open_clip

    settings = published.tag_settings(architecture, tag)
    file = weights or published.find_weights(name, settings)
    preprocessing = {key: settings[key] for key in _PREPROCESSING if key in settings}
    config = open_clip.get_model_config(architecture)
    quick = published.wants_quick_gelu(settings, config)
    return Blueprint(name, architecture, file, config, quick, preprocessing)


def _of_file(architecture: str, weights: Path) -> Blueprint:
    import open_clip

    beside = weights.parent
    if trained.is_trained(beside):
        config = trained.read_config(beside)
        own = config.get("preprocess_cfg", {})
        source = f"local-dir:{beside}"
        return Blueprint(architecture, source, weights, config["model_cfg"], None, own)
    return Blueprint(
        architecture, architecture, weights, open_clip.get_model_config(architecture), None
    )


def _as_openai(blueprint: Blueprint) -> Blueprint:
    """OpenAI's archives imply their activation and preprocessing."""
    import dataclasses

    from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    implied = {
        "mean": OPENAI_DATASET_MEAN,
        "std": OPENAI_DATASET_STD,
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    return dataclasses.replace(blueprint, quick_gelu=True, preprocessing=implied)


def _architecture(blueprint: Blueprint) -> dict[str, Any]:
    """Give the configuration of the towers as they are built: what tells two of them apart."""
    config = json.loads(json.dumps(blueprint.config))
    config["quick_gelu"] = _quick_gelu(blueprint)
    return {"digest": digest_of(config), "quick_gelu": config["quick_gelu"]}


def _quick_gelu(blueprint: Blueprint) -> bool:
    if blueprint.quick_gelu is None:
        return bool(blueprint.config.get("quick_gelu", False))
    return blueprint.quick_gelu


# ------------------------------------------------------------------------------- building it


def _build(blueprint: Blueprint, device: str, precision: str) -> nn.Module:
    import open_clip

    from cliplab.encoders.undrawn import UndrawnWeights

    with _quietly(), UndrawnWeights():
        try:
            model: nn.Module = open_clip.create_model(
                blueprint.source,
                load_weights=False,
                precision=precision,
                device=device,
                force_preprocess_cfg=dict(blueprint.preprocessing),
                pretrained_text=False,
                quick_gelu=_quick_gelu(blueprint),
            )
        except CliplabError:
            raise
        except Exception as error:
            raise _why_not_built(blueprint, error) from error
    return model.eval()


def _why_not_built(blueprint: Blueprint, error: Exception) -> CliplabError:
    hub = blueprint.config.get("text_cfg", {}).get("hf_model_name")
    if hub:
        return MissingWeights(
            f"{blueprint.name} has a text tower whose configuration comes from the hub ({hub}) and "
            f"wants the package transformers: {error}. With a network: pip install transformers, "
            "and run once; or choose an encoder with a tower of its own (`cliplab encoders`)."
        )
    return DataError(f"{blueprint.name} cannot be built by open_clip: {error}")


@contextmanager
def _quietly() -> Iterator[None]:
    """open_clip warns of random weights while it builds what we fill ourselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _fill(model: nn.Module, checkpoint: Checkpoint, blueprint: Blueprint) -> None:
    from cliplab.encoders.token_table import with_whole_table

    if not blueprint.preprocessing and not checkpoint.from_openai:
        warnings.warn(
            f"{blueprint.weights.name} says nothing of its preprocessing and activation: taking "
            f"the defaults of {blueprint.source}. If it was trained like a published tag, say so: "
            f"--encoder {blueprint.source}/TAG --weights FILE.",
            UserWarning,
            stacklevel=3,
        )
    try:
        state = with_whole_table(checkpoint.state, checkpoint.tokens or (), model)
        model.load_state_dict(fitted(state, model), strict=True)
    except (RuntimeError, KeyError, AttributeError) as error:
        raise DataError(_misfit(blueprint, error)) from error
    _keep_exact(model, checkpoint)


def _keep_exact(model: Any, checkpoint: Checkpoint) -> None:
    """Keep logit scale and bias in float32: open_clip rounds those over timm (100 to 98.9)."""
    for name in ("logit_scale", "logit_bias"):
        value, own = checkpoint.state.get(name), getattr(model, name, None)
        if value is not None and own is not None:
            own.data = value.detach().float().reshape(own.shape).to(own.device)


def _misfit(blueprint: Blueprint, error: Exception, most: int = 4) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()][1:]
    told = "; ".join(line[:160] for line in lines[:most]) or str(error)[:200]
    return (
        f"{blueprint.weights} does not fit {blueprint.source}: {told}. Name the architecture that "
        "the file was trained with: --encoder ARCH --weights FILE."
    )
