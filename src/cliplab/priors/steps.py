"""A prior's step: the gradient of an effective batch, in the micro-batches of a plan.

N drawings, B of a batch, T = h · w tokens, R conditions, E their width, K codes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from cliplab.priors.chance import say_which, uniform
from cliplab.priors.config import MASKED, Recipe
from cliplab.priors.transformer import PriorNetwork
from cliplab.runtime.progress import say
from cliplab.tokenizers.steps import mixed
from cliplab.training.memory import Plan

LAYERS = "layers"  # technique: the network's layers are recomputed in the backward pass
TECHNIQUES = ((), (LAYERS,))
_CONDITION, _DROPPED, _RATIO, _ORDER = 0, 1, 2, 3  # what the numbers drawn for a drawing are for


@dataclass(frozen=True, slots=True)
class Lessons:
    """Drawings as tokens, and what each is a drawing of."""

    tokens: np.ndarray  # (N, h, w) integers in 0..K-1
    conditions: np.ndarray  # (R, E) float32
    start: np.ndarray  # (N,) int64: a drawing's conditions are rows start to start + counts - 1
    counts: np.ndarray  # (N,) int64, 1 or more

    def __len__(self) -> int:
        return len(self.tokens)


class Batch(NamedTuple):
    """A batch with all that is drawn for it."""

    places: np.ndarray  # (B,) int64, of the lessons
    tokens: np.ndarray  # (B, T) int64
    conditions: np.ndarray  # (B, E) float32
    dropped: np.ndarray  # (B,) bool: learnt without condition
    counted: np.ndarray  # (B, T) bool: whose loss counts; a masked decoder does not see them

    def part(self, start: int, stop: int) -> Batch:
        """Cut out a micro-batch."""
        return Batch(*(field[start:stop] for field in self))


def draw_batch(
    lessons: Lessons, places: np.ndarray, recipe: Recipe, step: int, *, drop: float | None = None
) -> Batch:
    """Give the drawings of `places` with what a step draws for them.

    A drawing's condition is one of its own, evenly; it is dropped with probability `drop`
    (default: the recipe's). A masked decoder is not shown the share cos(π u / 2), u even in [0, 1),
    of the tokens, at least one (MaskGIT, Chang et al. 2022, section 3.3).
    """
    tokens = lessons.tokens[places].reshape(len(places), -1).astype(np.int64)
    length = tokens.shape[1]
    drawn = uniform(recipe.seed, step, places, _ORDER + length)
    chosen = (drawn[:, _CONDITION] * lessons.counts[places]).astype(np.int64)
    counted = np.ones(tokens.shape, dtype=bool)
    if recipe.decoder == MASKED:
        hidden = np.ceil(np.cos(0.5 * math.pi * drawn[:, _RATIO]) * length).clip(1, length)
        ranks = drawn[:, _ORDER:].argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
        counted = ranks < hidden[:, None]
    return Batch(
        places=places,
        tokens=tokens,
        conditions=lessons.conditions[lessons.start[places] + chosen],
        dropped=drawn[:, _DROPPED] < (recipe.drop_condition if drop is None else drop),
        counted=counted,
    )


def losses(network: PriorNetwork, batch: Batch, smoothing: float, device: str) -> torch.Tensor:
    """Cross-entropies (B, T) float32 in nats of a batch's tokens, 0 where they do not count."""
    tokens = torch.from_numpy(batch.tokens).to(device)
    counted = torch.from_numpy(batch.counted).to(device)
    shown = tokens
    if network.sizes.decoder == MASKED:
        shown = torch.where(counted, network.sizes.codes, tokens)
    logits = network(
        shown,
        torch.from_numpy(batch.conditions).to(device, next(network.parameters()).dtype),
        torch.from_numpy(batch.dropped).to(device),
    )
    if logits.dtype in (torch.bfloat16, torch.float16):
        logits = logits.float()
    found = functional.cross_entropy(
        logits.flatten(0, 1), tokens.flatten(), reduction="none", label_smoothing=smoothing
    )
    return found.view(tokens.shape) * counted


@dataclass(slots=True)
class PriorGradient:
    """Gradients of effective batches; the plan gives way when a GPU runs out of memory."""

    network: PriorNetwork
    lessons: Lessons
    recipe: Recipe
    plan: Plan
    device: str

    def __call__(self, places: np.ndarray, step: int) -> Mapping[str, float]:
        """Add a batch's gradient to the parameters'; give its numbers."""
        batch = draw_batch(self.lessons, places, self.recipe, step)
        while True:
            try:
                return self._batch(batch, step)
            except torch.OutOfMemoryError:
                if self.plan.micro_batch == 1:
                    raise
                self._give_way()

    def _give_way(self) -> None:
        micro = max(1, self.plan.micro_batch // 2)
        say(f"Out of memory: the same batch again, {micro} drawings at a time.")
        self.plan = Plan(micro, self.plan.techniques)
        self.network.zero_grad()
        torch.cuda.empty_cache()

    def _batch(self, batch: Batch, step: int) -> Mapping[str, float]:
        total, n_counted = 0.0, int(batch.counted.sum())
        for start in range(0, len(batch.places), self.plan.micro_batch):
            part = batch.part(start, start + self.plan.micro_batch)
            say_which(self.network, self.recipe.seed, step, part.places, self.device)
            with mixed(self.recipe.precision, self.device):
                found = losses(self.network, part, self.recipe.smoothing, self.device)
                loss = found.sum() / n_counted
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        return {"loss": total, "tokens_counted": n_counted / batch.counted.size}


def recompute_layers(network: PriorNetwork, techniques: tuple[str, ...]) -> None:
    """Let the network's layers be recomputed in the backward pass, where the techniques say so.

    All that they draw is drawn anew from the same coordinates, so no generator's state is kept.
    """
    for layer in network.layers:
        layer.__dict__.pop("forward", None)
        if LAYERS in techniques:
            layer.forward = _recomputed(layer)


def _recomputed(layer: nn.Module) -> Any:
    plain = layer.forward

    def forward(*inputs: Any, **settings: Any) -> Any:
        if not torch.is_grad_enabled():
            return plain(*inputs, **settings)
        return checkpoint(plain, *inputs, use_reentrant=False, preserve_rng_state=False, **settings)

    return forward
