"""What a tokenizer is made of and how it is trained; presets by what machine one has."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from cliplab.runtime.devices import PRECISIONS
from cliplab.runtime.errors import UnknownName, UsageError
from cliplab.tokenizers.dvae import DVAEConfig
from cliplab.tokenizers.objectives import OBJECTIVES, objective
from cliplab.tokenizers.quantizers.family import Quantizer, quantizer, quantizer_names

KL_PER_VALUE = 6.6 / 192  # of DALL-E: β is 6.6 for the 192 values of a token (8 x 8 pixels, colour)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerConfig:
    """How a tokenizer is made and trained; each field is an option of `cliplab train tokenizer`."""

    preset: str = "cpu"  # what the fields below are when they are not given
    size: int | None = None  # pixels of a side; None: the data set's own, up to the preset's
    channels: int | None = None  # 1 grey, 3 colour; None: grey where all pictures are
    codes: int | None = None  # size of the vocabulary
    width: int | None = None  # of the first group of the networks
    groups: int | None = None  # 2 to 4: a token stands for 2, 4 or 8 pixels a side
    blocks: int | None = None  # residual blocks a group
    quantizer: str | None = None  # gumbel, gumbel_st, vq, fsq
    objective: str | None = None  # bce, logit_laplace, l1, mse
    steps: int | None = None  # updates of the weights
    minutes: float | None = None  # or as many steps as so many minutes give
    batch_size: int | None = None  # pictures of an update, whatever the memory
    lr: float | None = None  # the highest step size
    kl_per_value: float = KL_PER_VALUE  # weight of the KL term for each value of a picture
    seed: int = 0  # of weights, order and noise
    memory: str | None = None  # what training may take, such as 2GiB; None: what is free
    precision: str | None = None  # fp32, or bf16, which saves memory on a GPU
    device: str = "auto"
    workers: int | None = None  # threads that decode; None: one a core
    on_bad: str = "list"  # an unreadable picture is left out; "fail": it ends the training
    home: Path | None = None  # where decoded pixels are kept; None: CLIPLAB_HOME

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise UnknownName("preset", self.preset, PRESETS)
        if self.quantizer is not None and self.quantizer not in quantizer_names():
            raise UnknownName("quantizer", self.quantizer, quantizer_names())
        if self.objective is not None and self.objective not in OBJECTIVES:
            raise UnknownName("objective", self.objective, OBJECTIVES)
        if self.precision is not None and self.precision not in PRECISIONS:
            raise UnknownName("precision", self.precision, PRECISIONS)
        faults = [
            f"--{name.replace('_', '-')} {value}: give {wanted}."
            for name, value, fine, wanted in (
                ("size", self.size, _at_least(self.size, 4), "4 pixels or more"),
                ("channels", self.channels, self.channels in (None, 1, 3), "1 or 3"),
                ("steps", self.steps, _at_least(self.steps, 1), "1 or more"),
                ("minutes", self.minutes, _positive(self.minutes), "a positive number"),
                ("batch_size", self.batch_size, _at_least(self.batch_size, 1), "1 or more"),
                ("lr", self.lr, _positive(self.lr), "a positive number"),
                ("kl_per_value", self.kl_per_value, self.kl_per_value >= 0, "0 or more"),
                ("seed", self.seed, self.seed >= 0, "0 or more"),
                ("on_bad", self.on_bad, self.on_bad in ("list", "fail"), "list or fail"),
            )
            if not fine
        ]
        if self.steps is not None and self.minutes is not None:
            faults.append("--steps and --minutes exclude each other; keep one.")
        if faults:
            raise UsageError(" ".join(faults))


def _at_least(value: int | None, least: int) -> bool:
    return value is None or value >= least


def _positive(value: float | None) -> bool:
    return value is None or (0 < value < math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """The fields of `TokenizerConfig` by what machine one has."""

    size: int  # pixels of a side at most
    codes: int
    width: int
    groups: int
    blocks: int
    quantizer: str
    steps: int
    batch_size: int
    lr: float


PRESETS = {
    "cpu": Preset(
        size=32, codes=512, width=32, groups=3, blocks=1, quantizer="vq",
        steps=6_000, batch_size=64, lr=2e-3,
    ),
    "small": Preset(
        size=64, codes=1024, width=64, groups=3, blocks=2, quantizer="vq",
        steps=50_000, batch_size=128, lr=1e-3,
    ),
    "dalle": Preset(
        size=256, codes=8192, width=256, groups=4, blocks=2, quantizer="gumbel",
        steps=3_000_000, batch_size=512, lr=1e-4,
    ),
}  # fmt: skip
"""`cpu`: drawings of 28 or 32 pixels on two cores; `small`: 64 pixels on one GPU; `dalle`: DALL-E's
own (Ramesh et al. 2021, appendix A)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A tokenizer's training with every choice made; what changes the numbers, and nothing else."""

    size: int
    channels: int
    codes: int
    width: int
    groups: int
    blocks: int
    quantizer: str
    objective: str
    steps: int
    batch_size: int
    lr: float
    kl_per_value: float
    seed: int
    precision: str

    @property
    def values(self) -> int:
        """Values of a picture."""
        return self.channels * self.size * self.size

    def networks(self, between: Quantizer) -> DVAEConfig:
        """Give the sizes of the networks around a quantizer."""
        return DVAEConfig(
            channels=self.channels,
            codes=between.latent,
            width=self.width,
            code_width=self.width // 2 if self.width < 256 else 128,
            groups=self.groups,
            blocks=self.blocks,
            outputs=self.channels * objective(self.objective).outputs_a_value,
        )

    def make_quantizer(self) -> Quantizer:
        """Give a new quantizer."""
        return quantizer(self.quantizer, self.codes)

    def as_json(self) -> dict[str, Any]:
        """Give the fields as plain JSON types."""
        return asdict(self)


def resolve(config: TokenizerConfig, side: int, is_grey: bool) -> Recipe:
    """Make every choice: given fields first, then the data set's looks, then the preset.

    Parameters
    ----------
    config
        What was asked for.
    side
        Pixels of the shorter side of the data set's pictures.
    is_grey
        Whether all of them are grey.
    """
    preset = PRESETS[config.preset]
    given = {f.name: getattr(config, f.name) for f in fields(Preset)}
    chosen = replace(preset, **{k: v for k, v in given.items() if v is not None})
    stride = 1 << (chosen.groups - 1)
    size = config.size or max(stride, min(side, preset.size) // stride * stride)
    channels = config.channels or (1 if is_grey else 3)
    reconstruction = config.objective or ("bce" if channels == 1 else "logit_laplace")
    recipe = Recipe(
        size=size,
        channels=channels,
        codes=chosen.codes,
        width=chosen.width,
        groups=chosen.groups,
        blocks=chosen.blocks,
        quantizer=chosen.quantizer,
        objective=reconstruction,
        steps=chosen.steps,
        batch_size=chosen.batch_size,
        lr=chosen.lr,
        kl_per_value=config.kl_per_value,
        seed=config.seed,
        precision=config.precision or "fp32",
    )
    recipe.networks(recipe.make_quantizer()).grid(size, size)  # refuses what cannot be
    return recipe
