"""What was measured picture by picture → the numbers of a tokenizer's record, with intervals.

Letters: M pictures, T tokens of a picture, K codes. Intervals are percentile bootstraps over the
pictures, the same resamples for all measures; shares of recognised pictures carry Wilson's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Integer

from cliplab.metrics.codebook import bits_of_pictures, code_counts, codes_used, perplexity
from cliplab.metrics.intervals import paired_difference, percentiles, proportion, resampled_means
from cliplab.metrics.reconstruction import psnr
from cliplab.nouns import Measure

MEASURES = ("l1", "psnr", "ssim", "stroke_iou")


class Codebook(NamedTuple):
    """How much of the vocabulary is in use."""

    codes: int  # K
    used: int  # that stand anywhere among the tokens
    perplexity: Measure  # as many codes, evenly used, would say as much
    bits_a_picture: Measure  # of its tokens coded one by one
    most_bits_a_picture: float  # if all codes were used evenly: T log2 K


class Gap(NamedTuple):
    """The objective, per value: of the relaxed reconstruction, of the tokens', and between."""

    soft: Measure
    hard: Measure
    gap: Measure  # hard - soft; above 0: training sees better pictures than the tokens give


class Recognition(NamedTuple):
    """Shares of labelled pictures that a recogniser knows."""

    n: int
    originals: Measure
    reconstructions: Measure
    difference: Measure  # reconstructions - originals


class TokenizerScores(NamedTuple):
    """How well a tokenizer keeps pictures."""

    distances: Mapping[str, Mapping[str, Measure]]  # what is compared → `MEASURES` → number
    codebook: Codebook
    gap: Gap
    recognition: Recognition | None  # None: not scored


def score_tokenizer(
    distances: Mapping[str, Mapping[str, np.ndarray]],
    tokens: Integer[np.ndarray, "M T"],
    codes: int,
    soft: Float[np.ndarray, " M"],
    hard: Float[np.ndarray, " M"],
    recognised: Bool[np.ndarray, "L 2"] | None = None,
    *,
    seed: int = 0,
) -> TokenizerScores:
    """Put numbers with intervals to what was measured.

    Parameters
    ----------
    distances
        What is compared → "l1", "mse", "ssim" and, of drawings, "stroke_iou" → (M,) float64.
    tokens
        (M, T) in 0..codes-1.
    codes
        K.
    soft, hard
        (M,) the objective of the relaxed and of the hard reconstruction.
    recognised
        (L, 2) whether a recogniser knew the original and the reconstruction, of the L pictures that
        have a label; None: it was not asked.
    seed
        Of the bootstrap.
    """
    columns = {
        (kind, name): values for kind, of in distances.items() for name, values in of.items()
    }
    counts = code_counts(tokens, codes)
    bits = bits_of_pictures(tokens, counts)
    table = np.stack([*columns.values(), bits, soft, hard], axis=1)
    draws = resampled_means(table, seed=seed)
    means = table.mean(axis=0)
    place = {key: number for number, key in enumerate(columns)}
    last = len(columns)
    return TokenizerScores(
        {kind: _distances(kind, place, means, draws) for kind in distances},
        _codebook(counts, tokens.shape[1], means[last], draws[:, last]),
        Gap(
            _of(means, draws, last + 1),
            _of(means, draws, last + 2),
            percentiles(means[last + 2] - means[last + 1], draws[:, last + 2] - draws[:, last + 1]),
        ),
        None if recognised is None else _recognition(recognised, seed),
    )


def _distances(
    kind: str, place: Mapping[tuple[str, str], int], means: np.ndarray, draws: np.ndarray
) -> dict[str, Measure]:
    def measure(name: str) -> Measure:
        column = place.get((kind, name))
        return Measure(None) if column is None else _of(means, draws, column)

    error = place[kind, "mse"]
    return {
        "l1": measure("l1"),
        "psnr": percentiles(float(psnr(means[error])), psnr(draws[:, error])),
        "ssim": measure("ssim"),
        "stroke_iou": measure("stroke_iou"),
    }


def _of(means: np.ndarray, draws: np.ndarray, column: int) -> Measure:
    return percentiles(float(means[column]), draws[:, column])


def _codebook(counts: np.ndarray, length: int, bits: float, draws: np.ndarray) -> Codebook:
    """Make the block; the perplexity's interval is that of its bits (the delta method).

    Resampling the counts themselves would lower the entropy, since rare codes drop out.
    """
    return Codebook(
        codes=len(counts),
        used=codes_used(counts),
        perplexity=percentiles(perplexity(counts), 2.0 ** (draws / length)),
        bits_a_picture=percentiles(float(bits), draws),
        most_bits_a_picture=length * math.log2(len(counts)),
    )


def _recognition(recognised: np.ndarray, seed: int) -> Recognition:
    originals, reconstructions = recognised.T
    difference = (
        paired_difference(reconstructions, originals, seed, draws=2_000)
        if len(recognised)
        else Measure(None)
    )
    return Recognition(
        len(recognised), proportion(originals), proportion(reconstructions), difference
    )
