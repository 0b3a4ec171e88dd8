"""How well a tokenizer keeps pictures: what it makes of held-out ones, measured one by one.

Letters: M pictures, C channels, H W pixels, T = h·w tokens of a picture. Pictures are read in
batches; what is kept of each is a row of numbers and its tokens, so that memory is bounded by the
number of pictures asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch

from cliplab.metrics.reconstruction import (
    absolute_error,
    squared_error,
    stroke_iou,
    strokes_are_dark,
    structural_similarity,
)
from cliplab.nouns import UNLABELLED, Dataset, Recognizer, Skipped
from cliplab.runtime.errors import DataError
from cliplab.runtime.progress import progress
from cliplab.tokenizers.dvae import DecoderNetwork, EncoderNetwork
from cliplab.tokenizers.objectives import objective
from cliplab.tokenizers.pixel_stream import PixelBatch, mean_picture, stream_pixels
from cliplab.tokenizers.saved import Tokenizer
from cliplab.tokenizers.steps import as_floats, schedules_at
from cliplab.training.memory import held_memory

RECONSTRUCTION, MEAN, BLANK = "reconstruction", "mean_picture", "blank"
MOST, FEWEST = 10_000, 8  # pictures that are measured where no number is given
WORK = {"cpu": 1e13, "gpu": 2e15}  # floating point operations of that, some minutes
ACTIVATIONS = 64_000_000  # numbers of a batch's largest activations, about; 256 MB
MOST_AT_ONCE = 64  # pictures


class Measured(NamedTuple):
    """What was measured of M pictures; a row of each array is a picture."""

    rows: np.ndarray  # (M,) int64, the data set's
    distances: Mapping[str, Mapping[str, np.ndarray]]  # what is compared → measure → (M,) float64
    tokens: np.ndarray  # (M, T) uint16 or int32
    soft: np.ndarray  # (M,) float64, the objective of the relaxed reconstruction, per value
    hard: np.ndarray  # (M,) float64, that of the tokens'
    recognised: np.ndarray | None  # (M, 2) bool: the original, its reconstruction; None: not asked
    skipped: tuple[Skipped, ...]


def measure_tokenizer(
    dataset: Dataset,
    rows: np.ndarray,
    tokenizer: Tokenizer,
    *,
    train_rows: np.ndarray,
    labels: np.ndarray | None = None,
    recognizer: Recognizer | None = None,
    workers: int | None = None,
    on_bad: str = "list",
    memory: int | None = None,
) -> Measured:
    """Take pictures through a tokenizer and back, and measure what comes out.

    Beside each reconstruction, the mean of training pictures and blank paper are held against the
    picture: what a tokenizer that learned nothing would give.

    Parameters
    ----------
    dataset, rows
        The held-out pictures, (M,) int64.
    tokenizer
        What is measured.
    train_rows
        Of the training pictures, whose mean is the baseline; it also tells whether strokes are dark
        or light.
    labels, recognizer
        (N,) int64 of the whole data set and a classifier of such pictures, to tell what stays
        recognisable; rows of unlabelled pictures say False, and are for the caller to leave out.
    workers
        Threads that decode.
    on_bad
        "list": an unreadable picture is listed; "fail": it ends the work.
    memory
        Bytes that the process (or the allocator of a GPU) may hold; pictures are taken in batches
        that fit.

    Raises
    ------
    DataError
        None of the pictures can be read.
    """
    shape = tokenizer.shape
    baseline = _Baselines.of(mean_picture(dataset, train_rows, shape, workers=workers))
    at_once = pictures_at_once(tokenizer, memory)
    stream = stream_pixels(dataset, rows, shape, batch_size=at_once, workers=workers, on_bad=on_bad)
    found: list[_Batch] = []
    seen: list[np.ndarray] = []
    skipped: list[Skipped] = []
    with progress("reconstructing", len(rows)) as advance:
        for batch in stream:
            if len(batch.rows):
                truth = None if labels is None else labels[batch.rows]
                found.append(_measure(tokenizer, batch, baseline, recognizer, truth))
                seen.append(batch.rows)
            skipped += batch.skipped
            advance(len(batch.rows) + len(batch.skipped))
    if not found:
        first = f"{skipped[0].id}: {skipped[0].reason}" if skipped else "there are none"
        raise DataError(
            f"None of the {len(rows)} pictures of {dataset.name!r} can be read ({first})."
        )
    kinds = found[0].distances
    return Measured(
        rows=np.concatenate(seen),
        distances={
            kind: {
                name: np.concatenate([one.distances[kind][name] for one in found])
                for name in kinds[kind]
            }
            for kind in kinds
        },
        tokens=np.concatenate([one.tokens for one in found]),
        soft=np.concatenate([one.soft for one in found]),
        hard=np.concatenate([one.hard for one in found]),
        recognised=_joined([one.recognised for one in found]),
        skipped=tuple(skipped),
    )


def pictures_at_once(tokenizer: Tokenizer, memory: int | None = None) -> int:
    """Say how many pictures take a bounded memory: 1 of DALL-E's size, 64 of 28 pixels.

    Of `memory`, bytes that the process may hold in all, they take no more than what is left; one
    picture is the least.
    """
    left = 4 * ACTIVATIONS
    if memory is not None:
        left = min(left, memory - held_memory(tokenizer.device))
    return max(1, min(MOST_AT_ONCE, left // bytes_a_picture(tokenizer)))


def bytes_a_picture(tokenizer: Tokenizer) -> int:
    """Give the bytes of a picture's largest activations, about."""
    config, (_, height, width) = tokenizer.model.config, tokenizer.shape
    grid = tokenizer.grid[0] * tokenizer.grid[1]
    return 4 * (6 * config.width * height * width + 6 * config.codes * grid)


def pictures_in_minutes(tokenizer: Tokenizer) -> int:
    """Say how many pictures can be measured in some minutes: 10,000 at most, 8 at least.

    The number follows from the networks' operations and the kind of device, not from a clock, so
    that it is the same in every run.
    """
    from torch.utils.flop_counter import FlopCounterMode

    model = tokenizer.model
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        networks = EncoderNetwork(model.config), DecoderNetwork(model.config)
        logits = networks[0](torch.empty(1, *tokenizer.shape))
        networks[1](torch.empty_like(logits))
    once = 2.0 * counter.get_total_flops()  # by way of the tokens, and relaxed
    work = WORK["cpu" if tokenizer.device == "cpu" else "gpu"]
    return int(max(FEWEST, min(MOST, work / once)))


def token_dtype(codes: int) -> type[np.uint16] | type[np.int32]:
    """Give the type that tokens are kept as: the smaller that holds them."""
    return np.uint16 if codes <= 1 << 16 else np.int32


# ------------------------------------------------------------------------------- a batch


class _Baselines(NamedTuple):
    """What a tokenizer that learned nothing would give for every picture."""

    mean: np.ndarray  # (C, H, W) uint8
    blank: np.ndarray  # (C, H, W) uint8, paper alone
    are_dark: bool  # whether strokes are dark on light paper

    @classmethod
    def of(cls, mean: np.ndarray) -> _Baselines:
        are_dark = strokes_are_dark(mean)
        blank = np.full(mean.shape, 255 if are_dark else 0, dtype=np.uint8)
        return cls(mean.round().astype(np.uint8), blank, are_dark)


class _Batch(NamedTuple):
    distances: dict[str, dict[str, np.ndarray]]
    tokens: np.ndarray
    soft: np.ndarray
    hard: np.ndarray
    recognised: np.ndarray | None


@torch.no_grad()
def _measure(
    tokenizer: Tokenizer,
    batch: PixelBatch,
    baseline: _Baselines,
    recognizer: Recognizer | None,
    labels: np.ndarray | None,
) -> _Batch:
    model, recipe = tokenizer.model, tokenizer.recipe
    likelihood = objective(recipe.objective)
    pixels = as_floats(batch.pixels, tokenizer.device)
    tokens = model.encode(pixels)
    outputs = model.decode(tokens)
    relaxed = model.parts(
        pixels,
        likelihood,
        torch.from_numpy(batch.rows),
        seed=recipe.seed,
        step=recipe.steps,
        temperature=schedules_at(recipe, recipe.steps)[0],
    ).outputs
    drawn = likelihood.picture(outputs).mul(255).round_().to(torch.uint8).cpu().numpy()
    others = {
        RECONSTRUCTION: drawn,
        MEAN: np.broadcast_to(baseline.mean, drawn.shape),
        BLANK: np.broadcast_to(baseline.blank, drawn.shape),
    }
    originals = np.ascontiguousarray(batch.pixels)
    return _Batch(
        {kind: distances(originals, other, baseline.are_dark) for kind, other in others.items()},
        tokens.flatten(1).cpu().numpy().astype(token_dtype(tokenizer.codes)),
        likelihood(relaxed, pixels).double().cpu().numpy(),
        likelihood(outputs, pixels).double().cpu().numpy(),
        _recognised(recognizer, originals, drawn, labels),
    )


def distances(pictures: np.ndarray, others: np.ndarray, are_dark: bool) -> dict[str, np.ndarray]:
    """Measure of each pair of pictures (M, C, H, W) uint8; strokes of grey pictures alone."""
    found = {
        "l1": absolute_error(pictures, others),
        "mse": squared_error(pictures, others),
        "ssim": structural_similarity(pictures, others),
    }
    if pictures.shape[1] == 1:
        found["stroke_iou"] = stroke_iou(pictures, others, are_dark=are_dark)
    return found


def _recognised(
    recognizer: Recognizer | None,
    originals: np.ndarray,
    drawn: np.ndarray,
    labels: np.ndarray | None,
) -> np.ndarray | None:
    if recognizer is None or labels is None:
        return None
    said = [recognizer.scores(pictures).argmax(1) for pictures in (originals, drawn)]
    found: np.ndarray = (np.stack(said, 1) == labels[:, None]) & (labels != UNLABELLED)[:, None]
    return found


def _joined(parts: list[np.ndarray | None]) -> np.ndarray | None:
    there = [part for part in parts if part is not None]
    return np.concatenate(there) if there else None
