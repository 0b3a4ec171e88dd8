"""A tokenizer's step: the gradient of an effective batch, in the micro-batches of a plan."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch

from cliplab.runtime.progress import say
from cliplab.tokenizers.config import Recipe
from cliplab.tokenizers.model import DVAE, Parts, Thrift
from cliplab.tokenizers.objectives import objective
from cliplab.tokenizers.pixel_store import Pixels
from cliplab.training.memory import Plan
from cliplab.training.schedules import Cosine

GROUPS, ROWS = "groups", "quantizer"  # techniques: what is recomputed in the backward pass
TECHNIQUES = ((), (GROUPS,), (GROUPS, ROWS))
ROWS_AT_ONCE = 1024  # of the quantizer, where it is cut

TEMPERATURE = Cosine(1.0, 1 / 16, 0.15)  # of the relaxation; DALL-E: over 150,000 of its updates
KL_RISE = 0.01  # share of the steps over which the KL term's weight rises from 0
LR_END = 1.25e-2  # of the step size, as a share of the highest (1e-4 → 1.25e-6 in the paper)


def thrift_of(plan: Plan) -> Thrift:
    """Say what a plan's techniques mean to the networks."""
    return Thrift(GROUPS in plan.techniques, ROWS_AT_ONCE if ROWS in plan.techniques else None)


def schedules_at(recipe: Recipe, step: int) -> tuple[float, float]:
    """Temperature, and the weight of the KL term per value, at a step."""
    rise = Cosine(0.0, recipe.kl_per_value, max(KL_RISE, 1 / recipe.steps))
    return TEMPERATURE.at(step, recipe.steps), rise.at(step, recipe.steps)


def batches_from(n: int, batch_size: int, seed: int) -> Callable[[int], Generator[np.ndarray]]:
    """From a step to the batches from that step on: places (B,) int64 in 0..n-1.

    Each epoch is a permutation drawn by seed and epoch; the few pictures that do not fill a batch
    wait for the next epoch's order.
    """
    steps = n // batch_size

    def source(step: int) -> Generator[np.ndarray, None, None]:
        while True:
            epoch = step // steps
            order = np.random.default_rng([seed, epoch]).permutation(n)
            while step // steps == epoch:
                start = step % steps * batch_size
                yield order[start : start + batch_size]
                step += 1

    return source


@dataclass(slots=True)
class TokenizerGradient:
    """Gradients of effective batches; the plan gives way when a GPU runs out of memory."""

    model: DVAE
    pixels: Pixels
    recipe: Recipe
    plan: Plan
    device: str
    used: torch.Tensor = field(init=False)  # (K,) int64, how often each code was chosen of late

    def __post_init__(self) -> None:
        self.used = torch.zeros(self.model.quantizer.codes, dtype=torch.int64)

    def __call__(self, places: np.ndarray, step: int) -> Mapping[str, float]:
        """Add a batch's gradient to the parameters'; give its numbers."""
        while True:
            try:
                return self._batch(places, step)
            except torch.OutOfMemoryError:
                if self.plan.micro_batch == 1:
                    raise
                self._give_way()

    def _give_way(self) -> None:
        micro = max(1, self.plan.micro_batch // 2)
        say(f"Out of memory: the same batch again, {micro} pictures at a time.")
        self.plan = Plan(micro, self.plan.techniques)
        self.model.zero_grad()
        self.model.quantizer.forget()
        torch.cuda.empty_cache()

    def _batch(self, places: np.ndarray, step: int) -> Mapping[str, float]:
        temperature, kl_weight = schedules_at(self.recipe, step)
        n_tokens = math.prod(self.model.config.grid(self.recipe.size, self.recipe.size))
        weight = (kl_weight if self.model.quantizer.penalty_is_kl else 1.0) / n_tokens
        distance = penalty = 0.0
        self.used.zero_()
        for start in range(0, len(places), self.plan.micro_batch):
            part = places[start : start + self.plan.micro_batch]
            found = self._micro_batch(part, step, temperature)
            loss = (found.distance + weight * found.penalty) / len(places)
            loss.backward()  # type: ignore[no-untyped-call]
            self.model.quantizer.observe(found.latent, found.tokens.flatten())
            distance += float(found.distance.detach()) / len(places)
            penalty += float(found.penalty.detach()) / len(places)
            self.used += found.tokens.flatten().bincount(minlength=len(self.used)).cpu()
        return {
            "loss": distance + weight * penalty,
            "distance": distance,
            "penalty": penalty / n_tokens,
            "temperature": temperature,
            "codes_used": float((self.used > 0).sum()),
        }

    def _micro_batch(self, places: np.ndarray, step: int, temperature: float) -> Parts:
        pixels = as_floats(self.pixels.read(places), self.device)
        with mixed(self.recipe.precision, self.device):
            return self.model.parts(
                pixels,
                objective(self.recipe.objective),
                torch.from_numpy(places).to(self.device),
                seed=self.recipe.seed,
                step=step,
                temperature=temperature,
                thrift=thrift_of(self.plan),
            )


def as_floats(pixels: np.ndarray, device: str) -> torch.Tensor:
    """8-bit pixels (B, C, H, W) → float32 in [0, 1] on the device."""
    return torch.from_numpy(np.array(pixels)).to(device).float().div_(255)


def mixed(precision: str, device: str) -> AbstractContextManager[object]:
    """Autocast to the precision; fp32 is none."""
    if precision == "fp32":
        return nullcontext()
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    return torch.autocast(device.partition(":")[0], dtype=dtype)
