"""What TensorBoard shows of a tokenizer: held-out pictures above what it makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from cliplab.nouns import TRAIN, Dataset
from cliplab.tokenizers.config import Recipe
from cliplab.tokenizers.objectives import objective
from cliplab.tokenizers.pixel_store import readable_pixels
from cliplab.tokenizers.steps import as_floats
from cliplab.training.averages import averaged
from cliplab.training.checkpoints import Trained
from cliplab.training.watching import picture_grid

SHOWN = 8  # pictures

Watcher = Callable[[int, Mapping[str, float], Trained], None]


def shown_pictures(
    dataset: Dataset, rows: np.ndarray, splits: np.ndarray, recipe: Recipe
) -> np.ndarray:
    """Give a few pictures (n, C, H, W) uint8 that are not trained on; else of those that are.

    Parameters
    ----------
    dataset
        The data set.
    rows
        (N,) int64, which are trained on.
    splits
        Of all rows.
    recipe
        For the size of pictures.
    """
    held_out = np.flatnonzero((splits != TRAIN) & (splits != ""))
    among = held_out if len(held_out) else rows
    chosen = among[np.linspace(0, len(among) - 1, min(SHOWN, len(among))).astype(np.int64)]
    shape = (recipe.channels, recipe.size, recipe.size)
    return readable_pixels(dataset, chosen, shape)


def reconstructions(
    pictures: np.ndarray, recipe: Recipe, device: str
) -> Callable[[Trained], np.ndarray]:
    """Give what draws pictures (n, C, H, W) uint8 above their reconstructions by hard tokens.

    The averaged weights make them, one picture at a time, so that it takes no more memory than a
    step does.
    """
    picture_of = objective(recipe.objective).picture

    def draw(trained: Trained) -> np.ndarray:
        model: Any = trained.model
        made = []
        with averaged(model, trained.average), torch.no_grad():
            for one in pictures:
                tokens = model.encode(as_floats(one[None], device))
                values = picture_of(model.decode(tokens))
                made.append(values.mul(255).round_().to(torch.uint8).cpu().numpy())
        return picture_grid(pictures, np.concatenate(made))

    return draw


def each(*watchers: Watcher) -> Watcher:
    """Make one of several."""

    def watch(step: int, seen: Mapping[str, float], trained: Trained) -> None:
        for watcher in watchers:
            watcher(step, seen, trained)

    return watch
