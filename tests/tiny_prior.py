"""Tiny priors: a toy whose tokens follow from the class, and one with random weights, saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from cliplab.priors.saved import save_prior
from cliplab.priors.steps import Lessons
from cliplab.priors.transformer import PriorNetwork, PriorSizes

CODES, GRID, CLASSES = 16, (3, 3), 3
NOTES = {"class_names": ["a", "b", "c"], "tokenizer": {"weights": "t"}, "encoder": None,
         "prompts": []}  # fmt: skip


def toy_lessons(n: int = 200, seed: int = 0) -> Lessons:
    """Give drawings of three classes, each of one grid, but for a token that is free."""
    chance = np.random.default_rng(seed)
    grids = np.random.default_rng(99).integers(0, CODES, (CLASSES, *GRID))
    labels = chance.integers(0, CLASSES, n)
    tokens = grids[labels]
    tokens[:, 1, 1] = chance.integers(0, 4, n)
    conditions = np.repeat(np.eye(CLASSES, dtype=np.float32), 2, axis=0)
    conditions[1::2] *= 0.9  # a second way of asking
    return Lessons(tokens, conditions, 2 * labels, np.full(n, 2))


def make_prior(
    folder: Path,
    *,
    decoder: str = "autoregressive",
    condition: str = "class",
    codes: int = CODES,
    grid: tuple[int, int] = GRID,
    width: int = CLASSES,
    seed: int = 0,
    half: bool = False,
    **notes: object,
) -> Path:
    """Write its folder; `notes` stand in prior.json."""
    sizes = PriorSizes(
        codes=codes, grid=grid, condition=width, width=16, layers=2, heads=2, decoder=decoder
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        network = PriorNetwork(sizes)
        torch.nn.init.normal_(network.head.weight)  # so that codes are not all alike
    save_prior(folder, network, sizes, {**NOTES, "condition": condition, **notes}, half=half)
    return folder
