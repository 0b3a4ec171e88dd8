"""What training a tokenizer would take, found out before anything is allocated."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch

from cliplab.tokenizers.config import Recipe
from cliplab.tokenizers.model import DVAE
from cliplab.tokenizers.objectives import objective
from cliplab.tokenizers.steps import GROUPS, ROWS, TECHNIQUES, thrift_of
from cliplab.training import plans
from cliplab.training.memory import (
    Cost,
    Estimate,
    Plan,
    TooLittleMemory,
    choose_plan,
    in_words,
    resident_memory,
)
from cliplab.training.simulation import footprint

IN_WORDS = {
    (): "as it is",
    (GROUPS,): "with groups recomputed",
    (GROUPS, ROWS): "with the quantizer in pieces too",
}


def cost_of(recipe: Recipe, base: int) -> Cost:
    """Give what a recipe's training takes, whatever the plan and for a plan.

    Parameters
    ----------
    recipe
        Sizes of networks and pictures; in mixed precision activations are priced as float32.
    base
        Bytes that the process holds before.
    """
    between = recipe.make_quantizer()  # which is small, and may compute as it is made
    with torch.device("meta"):
        model = DVAE(recipe.networks(between), between)
        model = model.to("meta").to(memory_format=torch.channels_last)
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    buffers = sum(b.numel() * b.element_size() for b in model.buffers())

    @cache
    def peak(micro_batch: int, techniques: tuple[str, ...]) -> int:
        return _peak(model, recipe, Plan(micro_batch, techniques))

    return Cost(base=base + buffers, parameters=size, optimizer=2 * size, average=size, peak=peak)


def _peak(model: DVAE, recipe: Recipe, plan: Plan) -> int:
    """Bytes at the peak of a micro-batch that finds the gradients of the one before there."""

    def run() -> None:
        with torch.device("meta"):
            shape = (plan.micro_batch, recipe.channels, recipe.size, recipe.size)
            for _ in range(2):
                found = model.parts(
                    torch.empty(shape),
                    objective(recipe.objective),
                    torch.arange(plan.micro_batch),
                    seed=0,
                    step=0,
                    temperature=1.0,
                    thrift=thrift_of(plan),
                )
                (found.distance + found.penalty).backward()  # type: ignore[no-untyped-call]

    found = footprint(run).peak
    model.zero_grad()
    return found


def plan_training(recipe: Recipe, budget: int, base: int | None = None) -> tuple[Plan, Estimate]:
    """Give the plan that takes the least time within the budget (bytes), and what it takes.

    Raises
    ------
    TooLittleMemory
        If not even one picture fits; the message says what would. Nothing has been allocated then.
    """
    base = resident_memory() if base is None else base
    try:
        return choose_plan(cost_of(recipe, base), budget, recipe.batch_size, TECHNIQUES)
    except TooLittleMemory as error:
        ways = [f"--{name} {value}" for name, value in _what_fits(recipe, budget, base).items()]
        if not ways:
            raise
        told = f"In {in_words(budget)}, with the rest as it is, {' or '.join(ways)} fits."
        raise TooLittleMemory(f"{error} {told}") from None


def _what_fits(recipe: Recipe, budget: int, base: int) -> dict[str, int]:
    """Give size and width, each halved as often as it takes, at which a picture fits."""
    found: dict[str, int] = {}
    if base >= budget:
        return found
    least = {"size": max(4, 1 << (recipe.groups - 1)), "width": 8}
    for name, smallest in least.items():
        value = getattr(recipe, name) // 2 // smallest * smallest
        while value >= smallest:
            smaller = replace(recipe, **{name: value})
            if cost_of(smaller, base).of(Plan(1, TECHNIQUES[-1])).total <= budget:
                found[name] = value
                break
            value = value // 2 // smallest * smallest
    return found


def fits_in(recipe: Recipe, plan: Plan, estimate: Estimate, budget: int) -> bool:
    """Tell whether another plan than the estimated one is within the budget too."""
    other = cost_of(recipe, estimate.base).of(plan)
    return other.total <= budget


def plan_table(recipe: Recipe, plan: Plan, estimate: Estimate, budget: int) -> str:
    """Say in a few lines what the plan takes and what each technique saves, for people."""
    cost = cost_of(recipe, estimate.base)
    return plans.plan_table(cost, plan, estimate, budget, recipe.batch_size, IN_WORDS)
