"""(Picture, caption) pairs of a training, drawn so that a step depends on its number alone.

N training pictures, B batch, K distinct captions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cliplab.encoders.captions import Captioned
from cliplab.nouns import Dataset, Skipped
from cliplab.pictures.preprocessing import Preprocessing
from cliplab.runtime.errors import DataError
from cliplab.runtime.progress import progress, say

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

IN_MEMORY = 2 << 30  # bytes of decoded pictures that are kept at most; more are read anew
ORDER, DRAWN = 0, 1  # streams of random numbers


class Pairs(NamedTuple):
    """What is trained on: readable pictures with their captions."""

    dataset: Dataset
    captioned: Captioned  # N pictures
    pixels: np.ndarray | None  # (N, 3, H, W) uint8; None: too many to keep
    preprocessing: Preprocessing
    skipped: tuple[Skipped, ...]


class PairBatch(NamedTuple):
    """The pairs of one step."""

    pixels: torch.Tensor  # (B, 3, H, W) float32
    captions: np.ndarray  # (B,) int64 in 0..K-1
    classes: np.ndarray  # (B,) int64; -1 where captions are not of classes


def read_pictures(
    dataset: Dataset,
    captioned: Captioned,
    preprocessing: Preprocessing,
    *,
    keep: bool,
    on_bad: str,
    workers: int | None,
) -> Pairs:
    """Read the training pictures once: those that can be read are trained on.

    With `keep` they stay in memory as 8-bit pixels; else they are read again batch by batch.

    Raises
    ------
    DataError
        None can be read; or, with `on_bad="fail"`, one cannot.
    """
    from cliplab.pictures.loader import load_pictures

    n, (height, width) = len(captioned.rows), preprocessing.size
    pixels = np.empty((n, 3, height, width), dtype=np.uint8) if keep else None
    read = np.zeros(n, dtype=bool)
    skipped: list[Skipped] = []
    with progress("reading", n) as advance:
        stream = load_pictures(
            dataset.source, captioned.rows, _bytes(preprocessing), workers=workers
        )
        for place, one in enumerate(stream):
            if one.pixels is None:
                skipped.append(Skipped(str(dataset.ids[one.row]), str(one.reason)))
                if on_bad == "fail":
                    raise DataError(
                        f"{skipped[0].id} cannot be read: {skipped[0].reason}. With --on-bad list "
                        "such pictures are listed and left out."
                    )
            else:
                if pixels is not None:
                    pixels[place - len(skipped)] = one.pixels.numpy()
                read[place] = True
            advance(1)
    _tell(dataset, skipped, n)
    there = np.flatnonzero(read)
    if pixels is not None:
        pixels = pixels[: len(there)]
    return Pairs(dataset, captioned.only(there), pixels, preprocessing, tuple(skipped))


def _tell(dataset: Dataset, skipped: list[Skipped], n: int) -> None:
    if not skipped:
        return
    first = f"{skipped[0].id}: {skipped[0].reason}"
    if len(skipped) == n:
        raise DataError(
            f"None of the {n} training pictures of {dataset.name!r} can be read ({first})."
        )
    say(f"{len(skipped)} of {n} pictures cannot be read and are left out ({first}).")


def _bytes(preprocessing: Preprocessing) -> Callable[[Image], torch.Tensor]:
    """Resize and crop as the encoder will, (3, H, W) uint8; scaling is left for the batch."""
    plain = dataclasses.replace(preprocessing, mean=(0.0,) * 3, std=(1.0,) * 3).transform()

    def prepare(picture: Image) -> torch.Tensor:
        import torch

        return (plain(picture) * 255).round().to(torch.uint8)

    return prepare


def batches_from(
    pairs: Pairs, step: int, *, batch_size: int, seed: int, shift: int, workers: int | None
) -> Generator[PairBatch, None, None]:
    """Give the batches from a step on, for ever; each depends on the seed and its number alone.

    Parameters
    ----------
    step
        The first, counted from 0. Pictures left over at the end of an epoch wait for the next.
    shift
        Pictures are moved by up to that many pixels each way, their edges repeated.
    """
    n = len(pairs.captioned.rows)
    scale = _scaling(pairs.preprocessing)
    while True:
        epoch, within = divmod(step, n // batch_size)
        order = np.random.default_rng([seed, ORDER, epoch]).permutation(n)
        chosen = order[within * batch_size : (within + 1) * batch_size]
        chance = np.random.default_rng([seed, DRAWN, step])
        pixels = shifted(read_again(pairs, chosen, workers), shift, chance)
        captions, classes = pairs.captioned.draw(chosen, chance), pairs.captioned.classes[chosen]
        yield PairBatch(scale(pixels), captions, classes)
        step += 1


def _scaling(preprocessing: Preprocessing) -> Callable[[np.ndarray], torch.Tensor]:
    """8-bit pixels (B, 3, H, W) to float32 as the encoder's preprocessing leaves them.

    Channels lie last in memory, which narrow convolutions take a third less time for.
    """
    import torch

    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (preprocessing.mean, preprocessing.std))

    def scale(pixels: np.ndarray) -> torch.Tensor:
        values = torch.from_numpy(pixels).float().div_(255).sub_(mean).div_(std)
        return values.contiguous(memory_format=torch.channels_last)

    return scale


def read_again(pairs: Pairs, chosen: np.ndarray, workers: int | None) -> np.ndarray:
    """(B, 3, H, W) uint8 of some of the pairs, by their places."""
    from cliplab.pictures.loader import load_pictures

    if pairs.pixels is not None:
        kept: np.ndarray = pairs.pixels[chosen]
        return kept
    found: list[Any] = []
    rows = pairs.captioned.rows[chosen]
    prepare = _bytes(pairs.preprocessing)
    for one in load_pictures(pairs.dataset.source, rows, prepare, workers=workers):
        if one.pixels is None:
            raise DataError(
                f"{pairs.dataset.ids[one.row]} could be read when the training began and cannot be "
                f"now: {one.reason}. Put it back and run the same command to go on."
            )
        found.append(one.pixels.numpy())
    return np.stack(found)


def shifted(pixels: np.ndarray, most: int, chance: np.random.Generator) -> np.ndarray:
    """Move each picture (B, 3, H, W) by up to `most` pixels each way, its edges repeated."""
    if most == 0:
        return pixels
    count, _, height, width = pixels.shape
    moves = chance.integers(-most, most + 1, size=(2, count, 1))
    down = np.clip(np.arange(height) + moves[0], 0, height - 1)  # (B, H)
    across = np.clip(np.arange(width) + moves[1], 0, width - 1)  # (B, W)
    batch, channel = np.arange(count)[:, None, None, None], np.arange(3)[None, :, None, None]
    moved: np.ndarray = pixels[batch, channel, down[:, None, :, None], across[:, None, None, :]]
    return moved
