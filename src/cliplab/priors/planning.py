"""What training a prior would take, found out before anything is allocated."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from cliplab.priors.chance import say_which
from cliplab.priors.config import Recipe
from cliplab.priors.steps import LAYERS, TECHNIQUES, Batch, losses, recompute_layers
from cliplab.priors.transformer import PriorNetwork, PriorSizes
from cliplab.training import plans
from cliplab.training.memory import Cost, Estimate, Plan, choose_plan, resident_memory
from cliplab.training.simulation import footprint

IN_WORDS = {(): "as it is", (LAYERS,): "with layers recomputed"}


def cost_of(recipe: Recipe, sizes: PriorSizes, base: int) -> Cost:
    """Give what a recipe's training takes, whatever the plan and for a plan.

    Parameters
    ----------
    recipe, sizes
        Of the network; in mixed precision activations are priced as float32.
    base
        Bytes that the process holds before.
    """
    with torch.device("meta"):
        network = PriorNetwork(sizes)
    size = sum(p.numel() * p.element_size() for p in network.parameters())
    buffers = sum(b.numel() * b.element_size() for b in network.buffers())

    @cache
    def peak(micro_batch: int, techniques: tuple[str, ...]) -> int:
        recompute_layers(network, techniques)
        return _peak(network, recipe, micro_batch)

    return Cost(base=base + buffers, parameters=size, optimizer=2 * size, average=size, peak=peak)


def _peak(network: PriorNetwork, recipe: Recipe, micro_batch: int) -> int:
    """Bytes at the peak of a micro-batch that finds the gradients of the one before there."""
    sizes = network.sizes
    batch = Batch(
        places=np.arange(micro_batch),
        tokens=np.zeros((micro_batch, sizes.tokens), dtype=np.int64),
        conditions=np.zeros((micro_batch, sizes.condition), dtype=np.float32),
        dropped=np.zeros(micro_batch, dtype=bool),
        counted=np.ones((micro_batch, sizes.tokens), dtype=bool),
    )

    def run() -> None:
        with torch.device("meta"):
            for _ in range(2):
                say_which(network, 0, 0, batch.places, "meta")
                found = losses(network, batch, recipe.smoothing, "meta")
                found.sum().backward()  # type: ignore[no-untyped-call]

    network.train()
    found = footprint(run).peak
    network.zero_grad()
    return found


def plan_training(
    recipe: Recipe, sizes: PriorSizes, budget: int, base: int | None = None
) -> tuple[Plan, Estimate]:
    """Give the plan that takes the least time within the budget (bytes), and what it takes.

    Raises
    ------
    TooLittleMemory
        If not even one drawing fits; nothing has been allocated then.
    """
    cost = cost_of(recipe, sizes, resident_memory() if base is None else base)
    smaller = "a smaller --preset, --width or --layers"
    return choose_plan(cost, budget, recipe.batch_size, TECHNIQUES, smaller=smaller)


def fits_in(recipe: Recipe, sizes: PriorSizes, plan: Plan, estimate: Estimate, budget: int) -> bool:
    """Tell whether another plan than the estimated one is within the budget too."""
    return cost_of(recipe, sizes, estimate.base).of(plan).total <= budget


def plan_table(
    recipe: Recipe, sizes: PriorSizes, plan: Plan, estimate: Estimate, budget: int
) -> str:
    """Say in a few lines what the plan takes and what each technique saves, for people."""
    cost = cost_of(recipe, sizes, estimate.base)
    return plans.plan_table(cost, plan, estimate, budget, recipe.batch_size, IN_WORDS)
