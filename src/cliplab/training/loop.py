"""The one loop that everything trained here uses: steps, schedule, clipping, checkpoints, resume.

Nothing random outlives a step: what a step draws depends on the seed and its number alone. A
training that is killed and started again goes on from its checkpoint to the same weights, on a
CPU with the same number of threads bit for bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from cliplab.runtime.errors import CliplabError
from cliplab.runtime.progress import Advance, progress, say
from cliplab.training.averages import average_of, move_average
from cliplab.training.checkpoints import (
    FILE,
    Standing,
    Trained,
    load_checkpoint,
    save_checkpoint,
)
from cliplab.training.gauges import Gauges
from cliplab.training.memory import in_words

if TYPE_CHECKING:
    import torch
    from torch import nn

Batch = TypeVar("Batch")
Gradient = Callable[[Batch, int], Mapping[str, float]]
"""From a step's batch and number to its numbers, "loss" among them.

It adds the gradient of the mean loss over the whole batch to that of the parameters, in as many
pieces as it likes.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopConfig:
    """How long and how fast; whoever makes it has checked the values."""

    steps: int  # of the whole training
    steps_per_epoch: int  # over which a mean loss is told
    batch_size: int  # items of a step, for the progress shown
    lr: float  # the highest, reached after the warm-up
    warmup: float  # share of all steps over which the rate rises from 0; it then falls
    lr_end: float = 0.0  # to which it falls, by half a cosine
    average: float | None = None  # decay of a moving average of the weights; None: there is none
    weight_decay: float  # not of biases, norms, scales and embeddings
    betas: tuple[float, float] = (0.9, 0.98)  # of AdamW
    eps: float = 1e-6  # of AdamW
    most_norm: float = 1.0  # gradients of a larger L2 norm are scaled down to it
    seed: int = 0
    checkpoint_seconds: float = 10.0  # between checkpoints

    @property
    def epochs(self) -> int:
        """Epochs of the whole training, the last of which may be cut short."""
        return -(-self.steps // self.steps_per_epoch)


class Outcome(NamedTuple):
    """What a finished training leaves beside the model that it changed."""

    losses: tuple[float, ...]  # mean loss of each epoch
    average: Mapping[str, torch.Tensor] | None  # moving average of the state, by its names


def train(
    model: nn.Module,
    batches: Callable[[int], Generator[Batch, None, None]],
    gradient: Gradient[Batch],
    config: LoopConfig,
    *,
    folder: Path,
    identity: Mapping[str, Any],
    notes: Mapping[str, Any] | None = None,
    after_step: Callable[[int], None] = lambda _step: None,
    watch: Callable[[int, Mapping[str, float], Trained], None] = lambda _step, _seen, _what: None,
) -> Outcome:
    """Train `model` in place.

    Parameters
    ----------
    model
        On its device.
    batches
        From a step's number to the batches from that step on; they must depend on nothing else.
    gradient
        Makes a batch's gradient; `whole_batch` makes one of a plain loss.
    config
        How long and how fast.
    folder
        Of the checkpoint; a training that was cut off goes on from the one that is there.
    identity
        Plain values that name all that changes the numbers; a checkpoint of another is refused.
    notes
        Plain values that a checkpoint keeps for whoever resumes (`checkpoints.checkpoint_notes`).
    after_step
        Called with the number of the step that was taken, for instance to keep a parameter within
        bounds; what it changes must be part of the model's state.
    watch
        Called with the number of steps done, what the gradient told (and learning_rate,
        gradient_norm, pictures_a_second, memory), and all that is trained (`watching.Watch`).

    Raises
    ------
    CliplabError
        The loss or its gradient is no longer a finite number.
    UsageError
        The checkpoint is of a training with another identity.
    """
    import torch

    average = None if config.average is None else average_of(model)
    trained = Trained(model, _optimizer(model, config), average)
    standing = load_checkpoint(folder, trained, identity)
    if standing is not None:
        say(f"Going on from step {standing.step:,} of {config.steps:,}.")
    standing = standing or Standing(0, ())
    stepper = _Stepper(trained, gradient, config, folder)
    done = standing.step * config.batch_size
    devices = sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
    gauges = Gauges(config.batch_size, f"cuda:{devices[0]}" if devices else "cpu")
    source = batches(standing.step)
    model.train()
    try:
        with (
            torch.random.fork_rng(devices),
            progress("training", config.steps * config.batch_size, done=done) as advance,
        ):
            pace = _Pace(config.checkpoint_seconds)
            while standing.step < config.steps:
                seen = stepper(standing.step, next(source))
                after_step(standing.step)
                if average is not None and config.average is not None:
                    move_average(average, model, config.average, standing.step)
                standing = _counted(standing, seen["loss"], config)
                seen = {**seen, **gauges()}
                _tell(advance, standing, seen, config)
                watch(standing.step, seen, trained)
                if pace.due():
                    save_checkpoint(folder, trained, standing, identity, notes)
                    pace.saved()
    finally:
        source.close()
    return Outcome(standing.losses, average)


def whole_batch(loss: Callable[[Batch], torch.Tensor]) -> Gradient[Batch]:
    """Make a gradient of a loss (a scalar) that a batch gives in one piece."""

    def gradient(batch: Batch, _step: int) -> Mapping[str, float]:
        value = loss(batch)
        value.backward()  # type: ignore[no-untyped-call]
        return {"loss": float(value.detach())}

    return gradient


def learning_rate(step: int, config: LoopConfig) -> float:
    """Learning rate of a step, counted from 0: a line up to `lr`, then half a cosine to `lr_end`.

    The schedule of CLIP (Radford et al. 2021, section 2.5, after Loshchilov and Hutter 2017).

    >>> config = LoopConfig(steps=10, steps_per_epoch=10, batch_size=1, lr=1.0, warmup=0.2,
    ...                     weight_decay=0.0)
    >>> [round(learning_rate(step, config), 3) for step in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.038]
    """
    rising = round(config.warmup * config.steps)
    if step < rising:
        return config.lr * (step + 1) / rising
    along = (step - rising) / (config.steps - rising)
    height = 0.5 * (1.0 + math.cos(math.pi * along))
    return config.lr_end + (config.lr - config.lr_end) * height


def step_seed(seed: int, step: int) -> int:
    """Seed of what the network itself draws in a step (dropout)."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1)[0])


def _optimizer(model: nn.Module, config: LoopConfig) -> torch.optim.Optimizer:
    import torch

    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    plain = {name for name, p in named if p.ndim < 2 or "embedding" in name}
    groups = [
        {"params": [p for n, p in named if n not in plain], "weight_decay": config.weight_decay},
        {"params": [p for n, p in named if n in plain], "weight_decay": 0.0},
    ]
    fused = all(p.device.type in ("cpu", "cuda") for _, p in named)
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.lr,
        betas=config.betas,
        eps=config.eps,
        fused=fused,
    )


@dataclass(frozen=True, slots=True)
class _Stepper:
    """One step: its batch's gradient, the update."""

    trained: Trained
    gradient: Gradient[Any]
    config: LoopConfig
    folder: Path

    def __call__(self, step: int, batch: Any) -> Mapping[str, float]:
        """Take step number `step`; give its numbers."""
        import torch

        optimizer = self.trained.optimizer
        torch.manual_seed(step_seed(self.config.seed, step))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, self.config)
        optimizer.zero_grad()
        seen = self.gradient(batch, step)
        parameters = self.trained.model.parameters()
        norm = float(torch.nn.utils.clip_grad_norm_(parameters, self.config.most_norm))
        if not (math.isfinite(seen["loss"]) and math.isfinite(norm)):
            raise CliplabError(self._diverged(step, seen["loss"], norm))
        optimizer.step()
        return {**seen, "gradient_norm": norm, "learning_rate": learning_rate(step, self.config)}

    def _diverged(self, step: int, value: float, size: float) -> str:
        path = self.folder / FILE
        good = f"The last good checkpoint is {path}" if path.is_file() else "There is no checkpoint"
        return (
            f"The training diverged at step {step + 1:,} of {self.config.steps:,}: the loss is "
            f"{value:g}, the norm of its gradient {size:g}. {good}. Train again with a lower --lr "
            f"(here {self.config.lr:g}) and another --out."
        )


class _Pace:
    """A checkpoint every so often; where it takes long (large towers, a slow disk), less often."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.took = seconds, 0.0
        self.last = self.started = time.monotonic()

    def due(self) -> bool:
        self.started = time.monotonic()
        return self.started - self.last >= self.seconds * (1.0 + 2.0 * self.took)

    def saved(self) -> None:
        self.last = time.monotonic()
        self.took = self.last - self.started


def _counted(standing: Standing, value: float, config: LoopConfig) -> Standing:
    step, total = standing.step + 1, standing.partial + value
    into = step - len(standing.losses) * config.steps_per_epoch
    if into < config.steps_per_epoch and step < config.steps:
        return Standing(step, standing.losses, total)
    return Standing(step, (*standing.losses, total / into))


def _tell(
    advance: Advance, standing: Standing, seen: Mapping[str, float], config: LoopConfig
) -> None:
    """Show how it goes; the bar has pictures a second and the remaining time by itself."""
    epoch = -(-standing.step // config.steps_per_epoch)
    note = f"epoch {epoch}/{config.epochs}, loss {seen['loss']:.3f}, {in_words(seen['memory'])}"
    advance(config.batch_size, note)
