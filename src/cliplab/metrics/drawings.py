"""What was measured of drawings, picture by picture → the numbers of their record, with intervals.

Letters: M pictures, F width of features, R draws. A number over all classes is the mean of the
classes' where each picture has a value of its own (recognised or not), and that of all pictures
together where it compares two sets. What compares sets takes as many pictures of each class on
either side, and the same number over two disjoint halves of real ones stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from cliplab.metrics.distribution import (
    PARTS,
    Manifolds,
    distances_within,
    frechet_measure,
    kernel_distance,
    manifolds,
    quantile_draws,
    resampled,
    spread,
)
from cliplab.metrics.intervals import percentiles, proportion, resampled_means
from cliplab.nouns import Measure

DRAWS = 1_000
NEAR = 0.01  # the quantile of distances to the nearest training picture that is compared
CURVE = (0.0, 0.01, 0.02, 0.05, *(i / 10 for i in range(1, 10)), 0.95, 1.0)  # those of a curve
PARTS_OF_A_CLASS = 8  # groups of its Fréchet distance's jackknife
MANIFOLDS = ("precision", "recall", "density", "coverage")


class Seen(NamedTuple):
    """What a recogniser makes of M pictures."""

    labels: np.ndarray  # (M,) int64, the classes that they are of
    ranks: np.ndarray  # (M,) int64, how many classes it holds more likely; 0: recognised
    features: np.ndarray  # (M, F) float32

    def of(self, chosen: np.ndarray) -> Seen:
        """Give some of the pictures."""
        return Seen(*(column[chosen] for column in self))


class Near(NamedTuple):
    """Distances of M pictures to the nearest training picture."""

    pixels: np.ndarray  # (M,) float64, root mean squared difference, 0..1
    features: np.ndarray  # (M,) float64

    def of(self, chosen: np.ndarray) -> Near:
        """Give those of some of the pictures."""
        return Near(*(column[chosen] for column in self))


class Taught(NamedTuple):
    """Whether M held-out pictures are known to a classifier that learned from drawings alone."""

    labels: np.ndarray  # (M,) int64
    by_drawings: np.ndarray  # (M,) bool
    by_real: np.ndarray  # (M,) bool: to one that learned from as many real pictures

    def of(self, chosen: np.ndarray) -> Taught:
        """Give some of the pictures."""
        return Taught(*(column[chosen] for column in self))


class Judged(NamedTuple):
    """All that is measured; a class has at least as many drawings as it has pictures in a half."""

    drawn: Seen
    near_drawn: Near
    halves: tuple[Seen, Seen]  # held-out pictures, disjoint, as many of each class
    near_held_out: Near  # of the first half, then of the second
    shuffled: np.ndarray  # (2 M,) ranks of both halves under labels that were shuffled
    taught: Taught  # on both halves
    near_redrawn: Near | None = None  # of both halves, after the tokenizer of what drew


class Beside(NamedTuple):
    """A number of the drawings, and that of real pictures."""

    drawn: Measure
    real: Measure


class Rated(NamedTuple):
    """A number of the drawings, that of real pictures, and the first over the second."""

    drawn: Measure
    real: Measure
    ratio: Measure


class Scores(NamedTuple):
    """How good the drawings of a class, or of all, are."""

    n: int  # drawings
    n_matched: int  # of them that are compared with as many real pictures
    top1: Rated
    top5: Rated
    frechet: Beside
    kernel: Beside  # KID
    precision: Beside
    recall: Beside
    density: Beside
    coverage: Beside
    diversity: Rated  # mean distance in features of two pictures of a class
    taught: Rated  # accuracy on real pictures, learned from drawings; from as many real ones
    near_pixels: Rated  # 1st percentile of distances to the nearest training picture
    near_features: Rated


class NearCurve(NamedTuple):
    """Distances to the nearest training picture, at the quantiles `CURVE`."""

    drawn: tuple[float, ...]
    real: tuple[float, ...]  # of held-out pictures


class Redrawn(NamedTuple):
    """Nearest training pictures beside those of real pictures that went through the tokenizer.

    A tokenizer leaves out what is peculiar to a picture, which alone brings it nearer to others.
    """

    pixels: Rated
    features: Rated


class DrawingScores(NamedTuple):
    """How good drawings are."""

    overall: Scores
    shuffled_top1: Measure  # real pictures under shuffled labels: the floor
    shuffled_top5: Measure
    nearer_pixels: Measure  # share of drawings nearer than the 1st percentile of held-out pictures
    nearer_features: Measure
    identical: Beside  # shares that are a training picture to the pixel, perhaps moved by one
    curve_pixels: NearCurve
    curve_features: NearCurve
    redrawn: Redrawn | None  # None: what drew has no tokenizer of the pictures' shape
    per_class: tuple[Scores, ...]  # in the order of the labels


def matched(labels: Int[np.ndarray, " M"], others: Int[np.ndarray, " _"]) -> Int[np.ndarray, " _m"]:
    """Give the places of each class's first pictures, as many as the class has among `others`."""
    found = [
        np.flatnonzero(labels == number)[: int((others == number).sum())]
        for number in np.unique(labels)
    ]
    return np.sort(np.concatenate(found))


def score_drawings(judged: Judged, *, seed: int = 0, draws: int = DRAWS) -> DrawingScores:
    """Put numbers with intervals to what was measured.

    Shares of pictures carry Wilson's interval in a class; means over classes, ratios and spreads
    percentile bootstraps within the classes; Fréchet distances a jackknife, kernel distances a
    bootstrap over groups (`distribution`).

    Parameters
    ----------
    judged
        What was measured.
    seed
        Of the resamples.
    draws
        Resamples R.
    """
    classes = np.unique(judged.drawn.labels)
    real = _both(judged.halves)
    held_out, drawn = (
        judged.near_held_out,
        judged.near_drawn.of(matched(judged.drawn.labels, judged.halves[0].labels)),
    )
    shuffled = [
        _shares([judged.shuffled[real.labels == c] < most for c in classes], seed, draws)
        for most in (1, 5)
    ]
    nearer = [
        proportion(mine < np.quantile(theirs, NEAR))
        for mine, theirs in zip(drawn, held_out, strict=True)
    ]
    curves = [
        NearCurve(*(tuple(np.quantile(side, CURVE).tolist()) for side in sides))
        for sides in zip(drawn, held_out, strict=True)
    ]
    redrawn = judged.near_redrawn
    return DrawingScores(
        overall=_scores(judged, classes, seed, draws),
        shuffled_top1=shuffled[0],
        shuffled_top5=shuffled[1],
        nearer_pixels=nearer[0],
        nearer_features=nearer[1],
        identical=Beside(*(proportion(near.pixels == 0) for near in (drawn, held_out))),
        curve_pixels=curves[0],
        curve_features=curves[1],
        redrawn=redrawn
        and Redrawn(
            *(_near(mine, other, seed, draws) for mine, other in zip(drawn, redrawn, strict=True))
        ),
        per_class=tuple(
            _scores(_of_class(judged, c), np.array([c]), seed, draws) for c in classes.tolist()
        ),
    )


def _both(halves: tuple[Seen, Seen]) -> Seen:
    return Seen(*(np.concatenate(pair) for pair in zip(*halves, strict=True)))


def _of_class(judged: Judged, number: int) -> Judged:
    drawn, real = judged.drawn.labels == number, _both(judged.halves).labels == number
    return Judged(
        judged.drawn.of(drawn),
        judged.near_drawn.of(drawn),
        (
            judged.halves[0].of(judged.halves[0].labels == number),
            judged.halves[1].of(judged.halves[1].labels == number),
        ),
        judged.near_held_out.of(real),
        judged.shuffled[real],
        judged.taught.of(judged.taught.labels == number),
    )


def _scores(judged: Judged, classes: np.ndarray, seed: int, draws: int) -> Scores:
    places = matched(judged.drawn.labels, judged.halves[0].labels)
    drawn, (first, second) = judged.drawn.of(places), judged.halves
    real = _both(judged.halves)
    parts = PARTS if len(classes) > 1 else PARTS_OF_A_CLASS
    balls = [
        _manifold_measures(manifolds(first.features, other.features), seed, draws)
        for other in (drawn, second)
    ]
    tops = [
        _rated(_by_class(judged.drawn, classes, most), _by_class(real, classes, most), seed, draws)
        for most in (1, 5)
    ]
    near = [
        _near(mine, theirs, seed, draws)
        for mine, theirs in zip(judged.near_drawn.of(places), judged.near_held_out, strict=True)
    ]
    return Scores(
        n=len(judged.drawn.labels),
        n_matched=len(places),
        top1=tops[0],
        top5=tops[1],
        frechet=Beside(
            *(
                frechet_measure(other.features, first.features, seed=seed, parts=parts)
                for other in (drawn, second)
            )
        ),
        kernel=Beside(
            *(
                kernel_distance(other.features, first.features, seed=seed, draws=draws)
                for other in (drawn, second)
            )
        ),
        **{name: Beside(balls[0][name], balls[1][name]) for name in MANIFOLDS},
        diversity=_diversity(judged.drawn, real, classes, seed, draws),
        taught=_taught(judged.taught, classes, seed, draws),
        near_pixels=near[0],
        near_features=near[1],
    )


def _seed(*numbers: int) -> int:
    """Give one seed for several numbers, so that classes are not resampled alike."""
    return int(np.random.SeedSequence(list(numbers)).generate_state(1)[0])


# ------------------------------------------------------------------------------- shares


def _by_class(seen: Seen, classes: np.ndarray, most: int) -> list[np.ndarray]:
    return [seen.ranks[seen.labels == number] < most for number in classes]


def _shares(known: Sequence[np.ndarray], seed: int, draws: int) -> Measure:
    """Mean over classes of the shares that are known; of one class, with Wilson's interval."""
    if len(known) == 1:
        return proportion(known[0])
    return percentiles(_mean(known), _mean_draws(known, seed, draws))


def _mean(known: Sequence[np.ndarray]) -> float:
    return float(np.mean([values.mean() for values in known]))


def _mean_draws(known: Sequence[np.ndarray], seed: int, draws: int) -> np.ndarray:
    """(R,) means over classes of the shares of each class's pictures, resampled."""
    generator = np.random.default_rng(seed)
    found = [generator.binomial(len(one), one.mean(), size=draws) / len(one) for one in known]
    return np.asarray(np.mean(found, axis=0))


def _rated(drawn: Sequence[np.ndarray], real: Sequence[np.ndarray], seed: int, draws: int) -> Rated:
    of_drawn = _mean_draws(drawn, _seed(seed, 1), draws)
    of_real = _mean_draws(real, _seed(seed, 2), draws)
    return Rated(
        _shares(drawn, _seed(seed, 1), draws),
        _shares(real, _seed(seed, 2), draws),
        _ratio(_mean(drawn), _mean(real), of_drawn, of_real),
    )


def _ratio(above: float, below: float, draws: np.ndarray, others: np.ndarray) -> Measure:
    """Give a ratio with its interval; not scored where what it is over is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return percentiles(float(np.float64(above) / np.float64(below)), draws / others)


def _taught(taught: Taught, classes: np.ndarray, seed: int, draws: int) -> Rated:
    """Compare two classifiers on the same pictures, resampled together."""
    both = np.stack([taught.by_drawings, taught.by_real], axis=1).astype(np.float64)
    by_class = [both[taught.labels == number] for number in classes]
    means = np.mean([values.mean(axis=0) for values in by_class], axis=0)
    found = np.mean(
        [
            resampled_means(values, seed=_seed(seed, 3, number), draws=draws)
            for number, values in enumerate(by_class)
        ],
        axis=0,
    )
    shares = [
        proportion(by_class[0][:, column] > 0)
        if len(classes) == 1
        else percentiles(float(means[column]), found[:, column])
        for column in (0, 1)
    ]
    ratio = _ratio(float(means[0]), float(means[1]), found[:, 0], found[:, 1])
    return Rated(shares[0], shares[1], ratio)


# ------------------------------------------------------------------------------- sets


def _manifold_measures(found: Manifolds, seed: int, draws: int) -> dict[str, Measure]:
    density = resampled_means(found.density[:, None], seed=_seed(seed, 4), draws=draws)[:, 0]
    return {
        "precision": proportion(found.precise),
        "recall": proportion(found.recalled),
        "density": percentiles(float(found.density.mean()), density),
        "coverage": proportion(found.covered),
    }


def _diversity(drawn: Seen, real: Seen, classes: np.ndarray, seed: int, draws: int) -> Rated:
    """Mean over classes of the mean distance within a class, of either side."""
    values, resamples = [], []
    for side, seen in enumerate((drawn, real)):
        found = [
            _spread(seen.features[seen.labels == number], _seed(seed, 5, side, number), draws)
            for number in classes.tolist()
        ]
        values.append(float(np.mean([one[0] for one in found])))
        resamples.append(np.mean([one[1] for one in found], axis=0))
    return Rated(
        percentiles(values[0], resamples[0]),
        percentiles(values[1], resamples[1]),
        _ratio(values[0], values[1], resamples[0], resamples[1]),
    )


def _spread(features: Float[np.ndarray, "M F"], seed: int, draws: int) -> tuple[float, np.ndarray]:
    distances = distances_within(features)
    statistic: Callable[[np.ndarray], np.ndarray] = lambda drawn: spread(distances, drawn)  # noqa: E731
    found = resampled(statistic, len(features), np.random.default_rng(seed), draws)
    return float(spread(distances)[0]), found


def _near(drawn: np.ndarray, held_out: np.ndarray, seed: int, draws: int) -> Rated:
    """Compare the first percentiles of distances to the nearest training picture."""
    values = [float(np.quantile(side, NEAR)) for side in (drawn, held_out)]
    resamples = [
        quantile_draws(side, NEAR, np.random.default_rng([seed, 6, number]), draws)
        for number, side in enumerate((drawn, held_out))
    ]
    return Rated(
        percentiles(values[0], resamples[0]),
        percentiles(values[1], resamples[1]),
        _ratio(values[0], values[1], resamples[0], resamples[1]),
    )
