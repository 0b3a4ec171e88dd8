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
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cliplab.runtime.errors import CliplabError
from cliplab.runtime.progress import Advance, progress, say
from cliplab.training.checkpoints import FILE, Standing, load_checkpoint, save_checkpoint

if TYPE_CHECKING:
    import torch
    from torch import nn

Batch = TypeVar("Batch")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopConfig:
    """How long and how fast; whoever makes it has checked the values."""

    epochs: int
    steps_per_epoch: int
    batch_size: int  # items of a step, for the progress shown
    lr: float  # the highest, reached after the warm-up
    warmup: float  # share of all steps over which the rate rises from 0; it then falls to 0
    weight_decay: float  # not of biases, norms, scales and embeddings
    betas: tuple[float, float] = (0.9, 0.98)  # of AdamW
    eps: float = 1e-6  # of AdamW
    most_norm: float = 1.0  # gradients of a larger L2 norm are scaled down to it
    seed: int = 0
    checkpoint_seconds: float = 10.0  # between checkpoints

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return self.epochs * self.steps_per_epoch


def train(
    model: nn.Module,
    batches: Callable[[int], Generator[Batch, None, None]],
    loss: Callable[[Batch], torch.Tensor],
    config: LoopConfig,
    *,
    folder: Path,
    identity: Mapping[str, Any],
    after_step: Callable[[], None] = lambda: None,
) -> tuple[float, ...]:
    """Train `model` in place; give the mean loss of each epoch.

    Parameters
    ----------
    model
        On its device.
    batches
        From a step's number to the batches from that step on; they must depend on nothing else.
    loss
        A batch's loss, a scalar.
    folder
        Of the checkpoint; a training that was cut off goes on from the one that is there.
    identity
        Plain values that name all that changes the numbers; a checkpoint of another is refused.
    after_step
        Called after each step, for instance to keep a parameter within bounds.

    Raises
    ------
    CliplabError
        The loss or its gradient is no longer a finite number.
    UsageError
        The checkpoint is of a training with another identity.
    """
    import torch

    optimizer = _optimizer(model, config)
    standing = load_checkpoint(folder, model, optimizer, identity)
    if standing is not None:
        say(f"Going on from step {standing.step:,} of {config.steps:,}.")
    standing = standing or Standing(0, ())
    stepper = _Stepper(model, optimizer, loss, config, folder)
    done = standing.step * config.batch_size
    devices = sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
    source = batches(standing.step)
    model.train()
    try:
        with (
            torch.random.fork_rng(devices),
            progress("training", config.steps * config.batch_size, done=done) as advance,
        ):
            pace = _Pace(config.checkpoint_seconds)
            while standing.step < config.steps:
                value = stepper(standing.step, next(source))
                after_step()
                standing = _counted(standing, value, config)
                _tell(advance, standing, value, config)
                if pace.due():
                    save_checkpoint(folder, model, optimizer, standing, identity)
                    pace.saved()
    finally:
        source.close()
    return standing.losses


def learning_rate(step: int, config: LoopConfig) -> float:
    """Learning rate of a step, counted from 0: a line up to `lr`, then half a cosine down to 0.

    The schedule of CLIP (Radford et al. 2021, section 2.5, after Loshchilov and Hutter 2017).

    >>> config = LoopConfig(epochs=1, steps_per_epoch=10, batch_size=1, lr=1.0, warmup=0.2,
    ...                     weight_decay=0.0)
    >>> [round(learning_rate(step, config), 3) for step in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.038]
    """
    rising = round(config.warmup * config.steps)
    if step < rising:
        return config.lr * (step + 1) / rising
    along = (step - rising) / (config.steps - rising)
    return config.lr * 0.5 * (1.0 + math.cos(math.pi * along))


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
    """One step: its batch's loss, the gradient, the update."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    loss: Callable[[Any], torch.Tensor]
    config: LoopConfig
    folder: Path

    def __call__(self, step: int, batch: Any) -> float:
        """Take step number `step`; give its loss."""
        import torch

        torch.manual_seed(step_seed(self.config.seed, step))
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(step, self.config)
        loss = self.loss(batch)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.most_norm)
        value, size = float(loss.detach()), float(norm)
        if not (math.isfinite(value) and math.isfinite(size)):
            raise CliplabError(self._diverged(step, value, size))
        self.optimizer.step()
        return value

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
    if step % config.steps_per_epoch:
        return Standing(step, standing.losses, total)
    return Standing(step, (*standing.losses, total / config.steps_per_epoch))


def _tell(advance: Advance, standing: Standing, value: float, config: LoopConfig) -> None:
    epoch = -(-standing.step // config.steps_per_epoch)
    advance(config.batch_size, f"epoch {epoch}/{config.epochs}, loss {value:.3f}")
