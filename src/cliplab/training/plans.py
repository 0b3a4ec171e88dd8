"""What a plan takes, told to people; and the plan of a training that was cut off, taken up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cliplab.runtime.progress import say
from cliplab.training.memory import KERNELS, Cost, Estimate, Plan, in_words

Techniques = Mapping[tuple[str, ...], str]
"""Sets of techniques in the order of their price, the empty one first, each in words."""


def plan_table(
    cost: Cost,
    plan: Plan,
    estimate: Estimate,
    budget: int,
    batch_size: int,
    techniques: Techniques,
    fewest: int = 1,
) -> str:
    """Say in a few lines what the plan takes and what each technique saves."""
    few = {names: cost.of(Plan(fewest, names)).activations - KERNELS for names in techniques}
    rows = [
        ("the process before", estimate.base),
        ("parameters", estimate.parameters),
        ("gradients", estimate.gradients),
        ("optimiser", estimate.optimizer),
        ("average of the weights", estimate.average),
        (f"activations of {plan.micro_batch} pictures", estimate.activations - KERNELS),
        ("compiled kernels", KERNELS),
        ("peak, estimated", estimate.total),
        ("memory stated", budget),
    ]
    lines = [f"  {name:<32}{in_words(size):>12}" for name, size in rows if size]
    saved = ", ".join(f"{in_words(size)} {techniques[names]}" for names, size in few.items())
    what = "a picture takes" if fewest == 1 else f"{fewest} pictures take"
    lines.append(f"  {what} {saved}.")
    n_parts = -(-batch_size // plan.micro_batch)
    lines.append(
        f"  Batches of {batch_size} in {n_parts} {'part' if n_parts == 1 else 'parts'} of at most "
        f"{plan.micro_batch}; recomputed: {' and '.join(plan.techniques) or 'nothing'}."
    )
    return "\n".join(lines)


def plan_notes(plan: Plan) -> dict[str, Any]:
    """Give what a checkpoint keeps for `as_begun`."""
    import torch

    return {"plan": plan.as_json(), "threads": torch.get_num_threads()}


def as_begun(notes: Mapping[str, Any], plan: Plan, fits: Callable[[Plan], bool]) -> Plan:
    """Give the plan that a training was begun with, by which it goes on to the same weights.

    Where that plan no longer fits, it is the new one; what makes the last digits differ is said.

    Parameters
    ----------
    notes
        Of its checkpoint, as `plan_notes` made them.
    plan
        What would be taken now.
    fits
        Whether a plan is within the memory that there is now.
    """
    import torch

    if notes["threads"] != torch.get_num_threads():
        say(
            f"This training was begun with {notes['threads']} threads, and goes on with "
            f"{torch.get_num_threads()}: the last digits of its weights will differ."
        )
    begun = Plan.read(notes["plan"])
    if begun == plan:
        return plan
    if not fits(begun):
        say(
            f"This training was begun with {begun.micro_batch} pictures at once, which no longer "
            f"fit, and goes on with {plan.micro_batch}: the last digits of its weights will differ."
        )
        return plan
    say(f"Going on with the plan that it was begun with: {begun.micro_batch} pictures at once.")
    return begun
