"""The numbers of a record of drawings, from what was measured picture by picture."""

from __future__ import annotations

import numpy as np
import pytest

from cliplab.metrics.drawings import (
    CURVE,
    Beside,
    Judged,
    Near,
    Rated,
    Seen,
    Taught,
    matched,
    score_drawings,
)

CLASSES, EACH, WIDTH = (2, 5, 7), 24, 4
DRAWS = 200


def seen(each: int, *, right: float, shift: float = 0.0, scale: float = 1.0, seed: int = 0) -> Seen:
    """Pictures of three classes, of which the first `right` are recognised."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(CLASSES, each)
    centres = np.array([[0.5 * c, 0, 0, 0] for c in labels]) + shift
    ranks = np.tile(np.where(np.arange(each) < right * each, 0, 3), len(CLASSES))
    return Seen(labels, ranks, (centres + generator.normal(0, scale, centres.shape)))


def near(n: int, distance: float, seed: int = 0) -> Near:
    generator = np.random.default_rng(seed)
    return Near(distance + generator.random(n), 10 * distance + generator.random(n))


def judged(**changes) -> Judged:
    halves = (seen(EACH, right=0.75, seed=1), seen(EACH, right=0.75, seed=2))
    labels = np.concatenate([half.labels for half in halves])
    known = np.arange(len(labels)) % 2 == 0
    parts = {
        "drawn": seen(EACH + 6, right=0.6, seed=3),
        "near_drawn": near(3 * (EACH + 6), 1.0, seed=4),
        "halves": halves,
        "near_held_out": near(len(labels), 1.0, seed=5),
        "shuffled": np.arange(len(labels)) % 3,
        "taught": Taught(labels, known, np.ones(len(labels), dtype=bool)),
    }
    return Judged(**{**parts, **changes})


@pytest.fixture(scope="module")
def scores():
    return score_drawings(judged(), draws=DRAWS)


def measures(found):
    for one in found:
        if isinstance(one, Beside | Rated):
            yield from one


def test_as_many_are_compared_as_there_are_on_the_other_side():
    labels, others = np.array([4, 4, 1, 4, 1, 1]), np.array([4, 1, 1, 4])
    assert matched(labels, others).tolist() == [0, 1, 2, 4]


def test_curves_are_quantiles_of_as_many_drawings_as_are_compared():
    found = judged()
    scores = score_drawings(found, draws=DRAWS)
    kept = matched(found.drawn.labels, found.halves[0].labels)
    drawn, real = scores.curve_pixels
    assert len(drawn) == len(real) == len(CURVE)
    assert (drawn[0], drawn[-1]) == (
        found.near_drawn.pixels[kept].min(),
        found.near_drawn.pixels[kept].max(),
    )
    assert real[CURVE.index(0.5)] == pytest.approx(np.median(found.near_held_out.pixels))
    assert drawn[1] == pytest.approx(scores.overall.near_pixels.drawn.value)
    assert scores.curve_features.real[1] == pytest.approx(scores.overall.near_features.real.value)


def test_shares_are_means_over_classes(scores):
    found = scores.overall
    assert (found.n, found.n_matched) == (3 * (EACH + 6), 3 * EACH)
    assert found.top1.drawn.value == pytest.approx(0.6)
    assert found.top1.real.value == pytest.approx(0.75)
    assert found.top1.ratio.value == pytest.approx(0.8)
    assert found.top1.ratio.low < 0.8 < found.top1.ratio.high
    assert found.top5.drawn.value == 1
    assert found.taught.drawn.value == pytest.approx(0.5)
    assert found.taught.ratio.value == pytest.approx(0.5)
    assert scores.shuffled_top1.value == pytest.approx(1 / 3)
    assert scores.shuffled_top5.value == 1


def test_alike_sets_are_as_far_apart_as_real_ones(scores):
    found = scores.overall
    for one in (found.frechet, found.kernel):
        assert one.drawn.low <= one.real.high
        assert one.real.low <= one.drawn.high
    assert found.diversity.ratio.low < 1 < found.diversity.ratio.high
    assert found.near_pixels.ratio.value == pytest.approx(1, abs=0.1)
    assert 0 <= scores.nearer_pixels.value < 0.1
    for name in ("precision", "recall", "coverage"):
        assert getattr(found, name).drawn.value > 0.7


def test_every_number_lies_in_its_interval(scores):
    for found in (scores.overall, *scores.per_class):
        for one in measures(found):
            assert one.low <= one.value <= one.high, found


def test_a_class_is_scored_by_itself(scores):
    assert len(scores.per_class) == 3
    for found in scores.per_class:
        assert (found.n, found.n_matched) == (EACH + 6, EACH)
        assert found.top1.drawn.value == pytest.approx(0.6)
        assert found.top1.drawn.low > 0.35  # Wilson's
    assert len({one.diversity.drawn.value for one in scores.per_class}) == 3


def test_sets_that_differ_are_told_apart(scores):
    drawn = seen(EACH, right=0.6, shift=4.0, seed=3)
    found = score_drawings(judged(drawn=drawn, near_drawn=near(72, 1.0)), draws=DRAWS)
    assert found.overall.kernel.drawn.low > found.overall.kernel.real.high
    assert found.overall.frechet.drawn.low > found.overall.frechet.real.high
    assert found.overall.precision.drawn.value < 0.2
    assert found.overall.recall.drawn.value < 0.2


def test_what_is_drawn_over_and_over_has_no_diversity():
    once = seen(EACH, right=1.0, scale=0.0)
    found = score_drawings(judged(drawn=once, near_drawn=near(72, 1.0)), draws=DRAWS)
    assert found.overall.diversity.ratio == pytest.approx((0, 0, 0), abs=1e-6)
    assert found.overall.recall.drawn.value == 0


def test_copies_are_flagged():
    drawn = seen(EACH, right=1.0)
    nearest = Near(np.zeros(72), np.zeros(72))
    found = score_drawings(judged(drawn=drawn, near_drawn=nearest), draws=DRAWS)
    assert found.nearer_pixels.value == found.nearer_features.value == 1
    assert found.overall.near_pixels.ratio == (0, 0, 0)
    assert (found.identical.drawn.value, found.identical.real.value) == (1, 0)


def test_over_nothing_there_is_no_ratio():
    none = seen(EACH, right=0.0, seed=1), seen(EACH, right=0.0, seed=2)
    found = score_drawings(judged(halves=none), draws=DRAWS)
    assert found.overall.top1.real.value == 0
    assert found.overall.top1.ratio.value is None


def test_the_seed_says_the_resamples(scores):
    assert score_drawings(judged(), draws=DRAWS) == scores
    other = score_drawings(judged(), draws=DRAWS, seed=1)
    assert other.overall.top1.drawn.value == scores.overall.top1.drawn.value
    assert other.overall.top1.ratio != scores.overall.top1.ratio


def test_as_many_real_as_drawn_of_a_class_with_few():
    """Halves of one class are smaller; the drawings that are compared follow."""
    halves = tuple(half.of(np.arange(len(half.labels)) < 2 * EACH + 5) for half in judged().halves)
    labels = np.concatenate([half.labels for half in halves])
    n = len(labels)
    few = judged(
        halves=halves,
        near_held_out=near(n, 1.0),
        shuffled=np.zeros(n, dtype=np.int64),
        taught=Taught(labels, labels == 7, labels >= 0),
    )
    found = score_drawings(few, draws=DRAWS)
    assert [one.n_matched for one in found.per_class] == [EACH, EACH, 5]
    assert found.overall.n_matched == 2 * EACH + 5
    assert found.overall.taught.drawn.value == pytest.approx(1 / 3)
