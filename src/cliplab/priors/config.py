"""What a prior is made of and how it is trained; presets by what machine one has."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from cliplab.runtime.devices import PRECISIONS
from cliplab.runtime.errors import UnknownName, UsageError
from cliplab.training.memory import parse_bytes

AUTOREGRESSIVE, MASKED = "autoregressive", "masked"
DECODERS = (AUTOREGRESSIVE, MASKED)
TEXT, IMAGE, CLASS = "text", "image", "class"
CONDITIONS = (TEXT, IMAGE, CLASS)
SMOOTHING = {AUTOREGRESSIVE: 0.0, MASKED: 0.1}  # of labels; MaskGIT's is 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorConfig:
    """How a prior is made and trained; each field is an option of `cliplab train prior`."""

    preset: str = "cpu"  # what the fields below are when they are not given
    decoder: str = AUTOREGRESSIVE  # or masked: all tokens in a few steps, for latency
    condition: str = TEXT  # or image (asked with words later), or class
    width: int | None = None  # of the network
    layers: int | None = None
    heads: int | None = None  # of attention; they divide the width
    steps: int | None = None  # updates of the weights
    minutes: float | None = None  # or as many steps as so many minutes give
    batch_size: int | None = None  # drawings of an update, whatever the memory
    lr: float | None = None  # the highest step size
    dropout: float | None = None  # share of activations that a step does without
    prompt: tuple[str, ...] = ()  # templates in place of the data set's; `{}` stands for the class
    drop_condition: float = 0.1  # share of drawings learnt without condition, for guidance
    seed: int = 0  # of weights, order and all that is drawn
    memory: str | None = None  # what training may take, such as 2GiB; None: what is free
    precision: str | None = None  # fp32, or bf16, which saves memory on a GPU
    device: str = "auto"
    workers: int | None = None  # threads that decode; None: one a core
    on_bad: str = "list"  # an unreadable picture is left out; "fail": it ends the training
    home: Path | None = None  # where tokens and vectors are kept; None: CLIPLAB_HOME

    def __post_init__(self) -> None:
        for what, name, known in (
            ("preset", self.preset, PRESETS),
            ("decoder", self.decoder, DECODERS),
            ("condition", self.condition, CONDITIONS),
            ("precision", self.precision or "fp32", PRECISIONS),
        ):
            if name not in known:
                raise UnknownName(what, name, known)
        faults = [
            f"--{name.replace('_', '-')} {value}: give {wanted}."
            for name, value, fine, wanted in (
                ("width", self.width, _at_least_1(self.width), "1 or more"),
                ("layers", self.layers, _at_least_1(self.layers), "1 or more"),
                ("heads", self.heads, _at_least_1(self.heads), "1 or more"),
                ("steps", self.steps, _at_least_1(self.steps), "1 or more"),
                ("minutes", self.minutes, _positive(self.minutes), "a positive number"),
                ("batch_size", self.batch_size, _at_least_1(self.batch_size), "1 or more"),
                ("lr", self.lr, _positive(self.lr), "a positive number"),
                ("dropout", self.dropout, _share(self.dropout), "a share of 0 or more, below 1"),
                (
                    "drop_condition",
                    self.drop_condition,
                    _share(self.drop_condition),
                    "a share of 0 or more, below 1",
                ),
                ("seed", self.seed, self.seed >= 0, "0 or more"),
                ("on_bad", self.on_bad, self.on_bad in ("list", "fail"), "list or fail"),
            )
            if not fine
        ]
        faults += [
            f"--prompt {template!r}: put {{}} where the class name goes."
            for template in self.prompt
            if "{}" not in template and "{c}" not in template
        ]
        if self.steps is not None and self.minutes is not None:
            faults.append("--steps and --minutes exclude each other; keep one.")
        if faults:
            raise UsageError(" ".join(faults))
        if self.memory is not None:
            parse_bytes(self.memory)


def _at_least_1(value: int | None) -> bool:
    return value is None or value >= 1


def _positive(value: float | None) -> bool:
    return value is None or (0 < value < math.inf)


def _share(value: float | None) -> bool:
    return value is None or 0 <= value < 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """The fields of `PriorConfig` by what machine one has."""

    width: int
    layers: int
    heads: int
    dropout: float
    steps: int
    batch_size: int
    lr: float


PRESETS = {
    "cpu": Preset(
        width=192, layers=6, heads=6, dropout=0.1, steps=10_000, batch_size=64, lr=2e-3
    ),
    "small": Preset(
        width=384, layers=8, heads=6, dropout=0.1, steps=60_000, batch_size=256, lr=1e-3
    ),
    "large": Preset(
        width=512, layers=12, heads=8, dropout=0.1, steps=200_000, batch_size=512, lr=8e-4
    ),
}  # fmt: skip
"""`cpu`: some dozen classes on two cores in an hour or two; `small`: 345 classes on one GPU;
`large`: millions of drawings of them on one large GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A prior's training with every choice made; what changes the numbers, and nothing else."""

    decoder: str
    condition: str
    width: int
    layers: int
    heads: int
    dropout: float
    drop_condition: float
    smoothing: float  # of labels
    steps: int
    batch_size: int
    lr: float
    seed: int
    precision: str

    def as_json(self) -> dict[str, Any]:
        """Give the fields as plain JSON types."""
        return asdict(self)


def resolve(config: PriorConfig) -> Recipe:
    """Make every choice: given fields first, then the preset."""
    given = {f.name: getattr(config, f.name) for f in fields(Preset)}
    chosen = replace(PRESETS[config.preset], **{k: v for k, v in given.items() if v is not None})
    return Recipe(
        decoder=config.decoder,
        condition=config.condition,
        drop_condition=config.drop_condition,
        smoothing=SMOOTHING[config.decoder],
        seed=config.seed,
        precision=config.precision or "fp32",
        **asdict(chosen),
    )
