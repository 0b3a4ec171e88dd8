"""Few-shot curves: how well each classifier does with 1, 2, 4, … labelled pictures a class.

For each number of shots and each repeat, pictures are drawn from the training pictures, the same
number of every class, and each classifier is fitted on them as if there were no others: nothing is
chosen on a validation split, and nothing on the test pictures. Zero-shot, which takes no picture,
is the line to beat (Radford et al. 2021, figure 6). Within a repeat the draws are nested, as in
big_vision's few-shot evaluator: more shots are the same pictures and others.

N training pictures, C classes.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from cliplab.classifiers import candidates
from cliplab.classifiers.family import Problem, classifier, take, training_part
from cliplab.classifiers.few_labels import settled
from cliplab.metrics.intervals import mean_of_repeats
from cliplab.nouns import Embeddings, Measure
from cliplab.runtime.errors import DataError
from cliplab.runtime.progress import progress


class Draw(NamedTuple):
    """Which pictures were learned from; `draw` gives them again."""

    shots: int
    repeat: int
    digest: str  # hex SHA-256 of their ids, sorted, one a line


class Point(NamedTuple):
    """A classifier at a number of shots, over the repeats."""

    shots: int
    top1: Measure  # mean over the repeats, with the 95 % t-interval of that mean
    std: float | None  # standard deviation over the repeats; None: there is one alone
    values: tuple[float, ...]  # top-1 of each repeat
    settings: tuple[Mapping[str, Any], ...]  # what was chosen in each repeat, without times


class Curve(NamedTuple):
    """A classifier over the shots."""

    classifier: str
    points: tuple[Point, ...]
    beats_zero_shot_at: int | None  # fewest shots whose mean is above zero-shot; None: none


@dataclass(frozen=True, slots=True)
class FewShot:
    """The curves of an evaluation: the block `few_shot` of its record."""

    shots: tuple[int, ...]
    repeats: int
    seed: int
    chosen: str  # how settings were chosen, in words
    zero_shot: float | None  # its top-1 on the same test pictures; None: not asked for
    draws: tuple[Draw, ...]
    curves: tuple[Curve, ...]


CHOSEN = (
    "Settings are chosen within each draw alone, in four folds of its pictures (two at two shots); "
    "with one picture a class they are fixed."
)


def few_shot(
    problem: Problem,
    scored: Embeddings,
    names: Sequence[str],
    *,
    shots: Sequence[int],
    repeats: int = 5,
    zero_shot: float | None = None,
) -> FewShot:
    """Fit the classifiers that learn on seeded draws, and score them on the same pictures.

    Parameters
    ----------
    problem
        Its training pictures are drawn from; its validation pictures are left alone.
    scored
        Test pictures.
    names
        Classifiers; those that learn from no picture have no curve.
    shots
        Pictures a class, ascending.
    repeats
        Draws for each number of shots.
    zero_shot
        Top-1 to beat, in 0..1.

    Raises
    ------
    DataError
        A class has fewer training pictures than the most shots.
    """
    train = problem.train if problem.may_lack_training else training_part(problem)
    assert train is not None
    check_shots(train.labels, problem.class_names, shots, may_lack=problem.may_lack_training)
    learning = [name for name in names if "train" in classifier(name).NEEDS]
    draws: list[Draw] = []
    told: dict[tuple[str, int], list[tuple[float, Mapping[str, Any]]]] = {}
    with progress("few shots", len(shots) * repeats, unit="draws") as advance:
        for n in shots:
            for repeat in range(repeats):
                rows = draw(train.ids, train.labels, n, repeat=repeat, seed=problem.seed)
                draws.append(Draw(n, repeat, _digest(train.ids[rows])))
                drawn = settled(
                    dataclasses.replace(problem, train=take(train, rows), validation=None), learning
                )
                for name in learning:
                    fitted = candidates.fit(name, drawn)
                    right = fitted.predict(scored).predicted == scored.labels
                    told.setdefault((name, n), []).append((float(right.mean()), fitted.settings))
                advance(1)
    curves = tuple(
        _curve(name, [_point(n, told[name, n]) for n in shots], zero_shot) for name in learning
    )
    return FewShot(tuple(shots), repeats, problem.seed, CHOSEN, zero_shot, tuple(draws), curves)


def draw(
    ids: np.ndarray, labels: np.ndarray, shots: int, *, repeat: int = 0, seed: int = 0
) -> np.ndarray:
    """Rows (shots * C,) int64, ascending, of a draw: `shots` pictures of each class.

    It depends on the ids of each class alone, not on their order; the first pictures of a larger
    draw with the same repeat and seed are those of a smaller one.

    Parameters
    ----------
    ids, labels
        (N,) str and (N,) int64.
    shots
        At most the pictures of the smallest class.
    repeat, seed
        Which draw.
    """
    chosen = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        rows = rows[np.argsort(ids[rows].astype(str))]
        generator = np.random.default_rng([seed, repeat, int(label)])
        chosen.append(generator.permutation(rows)[:shots])
    return np.sort(np.concatenate(chosen))


def check_shots(
    labels: np.ndarray, class_names: Sequence[str], shots: Sequence[int], *, may_lack: bool = False
) -> None:
    """Refuse more shots than the smallest class has training pictures, and say what would do.

    Classes without any are passed over where they `may_lack` them: they are no candidates.
    """
    counts = np.bincount(labels, minlength=len(class_names))
    if may_lack:
        class_names = [class_names[c] for c in np.flatnonzero(counts).tolist()]
        counts = counts[counts > 0]
    most, fewest = max(shots), int(counts.min())
    if most > fewest:
        smallest, short = class_names[int(counts.argmin())], int((counts < most).sum())
        fine = ",".join(str(n) for n in shots if n <= fewest)
        advice = f"Give --shots {fine}, or add pictures." if fine else "Add pictures."
        raise DataError(
            f"--shots {most} is more than {short} of {len(counts)} classes have training pictures: "
            f"{smallest!r} has {fewest}. {advice}"
        )


def _digest(ids: np.ndarray) -> str:
    text = "\n".join(sorted(str(i) for i in ids))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _point(shots: int, told: Sequence[tuple[float, Mapping[str, Any]]]) -> Point:
    values = np.array([value for value, _ in told])
    std = float(values.std(ddof=1)) if len(values) > 1 else None
    settings = tuple({k: v for k, v in one.items() if k != "seconds"} for _, one in told)
    return Point(shots, mean_of_repeats(values), std, tuple(values.tolist()), settings)


def _curve(name: str, points: Sequence[Point], zero_shot: float | None) -> Curve:
    above = [
        point.shots
        for point in points
        if zero_shot is not None and point.top1.value is not None and point.top1.value > zero_shot
    ]
    return Curve(name, tuple(points), min(above, default=None))
