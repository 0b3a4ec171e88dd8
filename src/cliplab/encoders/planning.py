"""What training a CLIP would take, found out before anything is allocated.

N training pictures, B pairs of a batch, K captions, D width of the joint space.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import torch

from cliplab.encoders.architecture import Architecture, Built, build
from cliplab.encoders.losses import PAIRS, Loss, loss_of_model
from cliplab.encoders.pairs import IN_MEMORY
from cliplab.encoders.token_table import cut_table
from cliplab.encoders.two_passes import (
    CHECKPOINTED,
    TECHNIQUES,
    Inputs,
    add_gradient,
    draw_for_batches,
    takes_batches_whole,
)
from cliplab.training.memory import Cost, Estimate, Plan, TooLittleMemory, choose_plan
from cliplab.training.simulation import footprint

BATCH_BYTES = 5  # a value of the batch's pictures: as it was read, and in float32
TOY = Architecture(
    "toy",
    {
        "embed_dim": 8,
        "vision_cfg": {"image_size": 8, "layers": 1, "width": 8, "head_width": 8, "patch_size": 4},
        "text_cfg": {"context_length": 8, "vocab_size": 8, "width": 8, "heads": 1, "layers": 1},
    },
    {},
)


class Sketch(NamedTuple):
    """A model on the meta device, and what is known from it."""

    model: Any
    table: int  # bytes of the table of tokens, which is kept to make the trained one whole
    loss: Loss
    whole: bool  # batches must be taken whole
    techniques: tuple[tuple[str, ...], ...]


class Planned(NamedTuple):
    """A plan, what it takes, and whether the decoded pictures are kept in memory."""

    plan: Plan
    estimate: Estimate
    cost: Cost
    keeps_pictures: bool


def sketch(built: Built, tokens: torch.Tensor, targets: str = PAIRS) -> Sketch:
    """Make a model on the meta device what it is when trained on captions (K, T)."""
    model: Any = built.model
    cut = cut_table(model, tokens)
    model.to("meta").train()
    draw_for_batches(model)
    whole = takes_batches_whole(model)
    table = 0 if cut is None else cut.table.numel() * cut.table.element_size()
    recomputes = not whole and recompute_blocks(model, True)
    techniques = tuple(TECHNIQUES) if recomputes else ((),)
    return Sketch(model, table, loss_of_model(model, targets), whole, techniques)


def recompute_blocks(model: Any, enable: bool) -> bool:
    """Let both towers recompute their blocks or keep them; False: one of them cannot."""
    try:
        model.set_grad_checkpointing(enable)
    except (RuntimeError, AssertionError, AttributeError):  # what open_clip and timm raise
        return False
    return True


def cost_of(drawn: Sketch, batch_size: int, n_captions: int, base: int, *, on_cpu: bool) -> Cost:
    """Give what training takes, whatever the plan and for a plan.

    Parameters
    ----------
    drawn
        The model.
    batch_size
        B.
    n_captions
        K, of which a batch has min(B, K).
    base
        Bytes that the process holds before.
    on_cpu
        Whether the batch and the table of tokens lie in the memory that is planned.
    """
    model = drawn.model
    size = _size(model.parameters())
    height, width = _picture_size(model)
    held = BATCH_BYTES * batch_size * 3 * height * width + drawn.table if on_cpu else 0

    @cache
    def peak(micro_batch: int, techniques: tuple[str, ...]) -> int:
        recompute_blocks(model, CHECKPOINTED in techniques)
        found = _peak(drawn, batch_size, min(batch_size, n_captions), micro_batch)
        model.zero_grad()
        return found

    return Cost(
        base=base + held + _size(model.buffers()),
        parameters=size,
        optimizer=2 * size,
        average=0,
        peak=peak,
    )


def _size(tensors: Iterable[torch.Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)


def _picture_size(model: Any) -> tuple[int, int]:
    size = model.visual.image_size
    return (size, size) if isinstance(size, int) else tuple(size)


def _peak(drawn: Sketch, batch_size: int, n_captions: int, micro_batch: int) -> int:
    """Bytes at the peak of a step: two micro-batches' passes, or the loss of all features."""
    model, loss_of = drawn.model, drawn.loss
    if micro_batch >= batch_size:
        inputs = _inputs(model, batch_size, n_captions)
        return footprint(lambda: add_gradient(model, loss_of, inputs, batch_size, 0)).peak
    n, k = min(batch_size, 2 * micro_batch), min(n_captions, 2 * micro_batch)
    inputs = _inputs(model, n, k)
    passes = footprint(lambda: add_gradient(model, loss_of, inputs, micro_batch, 0)).peak
    with torch.no_grad():
        few = model.encode_image(inputs.pixels[:1], normalize=True)
    features = (batch_size + n_captions) * few.shape[1] * few.element_size()
    loss = footprint(lambda: _loss_alone(loss_of, few.expand(batch_size, -1))).peak
    at_most: int = max(passes + 2 * features, loss + features + _size(model.parameters()))
    return at_most


def _loss_alone(loss_of: Loss, features: torch.Tensor) -> None:
    images, captions = (torch.empty_like(features).requires_grad_() for _ in range(2))
    which = torch.zeros(len(features), dtype=torch.int64, device=features.device)
    drawn = torch.nn.functional.embedding(which, captions)
    loss_of(images, drawn, which).backward()  # type: ignore[no-untyped-call]


def _inputs(model: Any, n_pictures: int, n_captions: int) -> Inputs:
    with torch.device("meta"):
        return Inputs(
            torch.empty(n_pictures, 3, *_picture_size(model)),
            torch.zeros(n_captions, model.context_length, dtype=torch.int64),
            torch.zeros(n_pictures, dtype=torch.int64),
            torch.zeros(n_pictures, dtype=torch.int64),
        )


def plan_training(
    cost: Cost, drawn: Sketch, budget: int, batch_size: int, pictures: int, *, on_cpu: bool
) -> Planned:
    """Give the plan that takes the least time within the budget (bytes), and what it takes.

    Decoded pictures are kept, rather than read batch by batch, where they fit beside a whole batch
    or take a quarter of the budget at most.

    Parameters
    ----------
    cost, drawn
        Of the model.
    budget
        Bytes.
    batch_size
        B.
    pictures
        Bytes of all decoded pictures.
    on_cpu
        Whether they would lie in the memory that is planned.

    Raises
    ------
    TooLittleMemory
        If the fewest pictures at once do not fit; nothing has been allocated then.
    """

    def chosen(cost: Cost) -> tuple[Plan, Estimate]:
        return choose_plan(
            cost,
            budget,
            batch_size,
            drawn.techniques,
            fewest=batch_size if drawn.whole else 1,
            smaller="a smaller --batch-size (batch normalisation takes batches whole) or --model"
            if drawn.whole
            else "a smaller --model or --batch-size",
        )

    if pictures <= IN_MEMORY:
        beside = replace(cost, base=cost.base + pictures * on_cpu)
        with suppress(TooLittleMemory):
            plan, estimate = chosen(beside)
            if not on_cpu or plan == Plan(batch_size) or pictures <= budget // 4:
                return Planned(plan, estimate, beside, True)
    return Planned(*chosen(cost), cost, False)


@cache
def warm_up() -> None:
    """Plan and train a toy for a step, so that what libraries load once counts as there before."""
    built = build(TOY, 0)
    model: Any = built.model.train()
    recompute_blocks(model, True)
    tokens = torch.zeros(2, model.context_length, dtype=torch.int64)
    drawn = sketch(build(TOY, 0, device="meta"), tokens)
    cost_of(drawn, 2, 2, 0, on_cpu=True).of(Plan(1, (CHECKPOINTED,)))
    inputs = Inputs(torch.zeros(2, 3, 8, 8), tokens, torch.arange(2), torch.arange(2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, fused=True)
    with torch.random.fork_rng([]):
        add_gradient(model, loss_of_model(model), inputs, 1, 0)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
