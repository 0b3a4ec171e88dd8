"""What is wrong with a data set: labels, duplicates, pictures that are odd or cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cliplab.embeddings.normalise import normalise
from cliplab.nouns import DEFAULT_ENCODER, TEST, UNLABELLED, Dataset, Embeddings, Encoder, Task
from cliplab.runtime.errors import UsageError
from cliplab.runtime.progress import progress
from cliplab.runtime.storage import home as home_of

if TYPE_CHECKING:
    from cliplab.classifiers.out_of_fold import OutOfFold
    from cliplab.metrics.neighbours import Neighbours

LABEL, DUPLICATE, UNREADABLE, ODD, SMALL = "label", "duplicate", "unreadable", "odd", "small class"
KINDS = (LABEL, DUPLICATE, UNREADABLE, ODD, SMALL)
NEIGHBOURS = 10  # whose mean distance says how far out a picture lies
FAR_OUT = 5.0  # robust standard deviations
LONGEST = 4.0  # one side of a picture to the other
FLAT = 3.0  # of 255 grey levels, standard deviation of a nearly constant picture
APART = 100.0  # times more or fewer pixels than the set's median
FEW = 5  # held-out pictures of a class, below which an accuracy is known to ±33 points at best
MANY_DOUBLES = 0.2  # share of the pictures, from which the threshold is doubted
UNSURE = 0.7  # share of labels that the probe says as well, below which its suspicions are doubted
ACROSS = "one in"  # what a reason says of copies in different splits


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditConfig:
    """How a data set is looked through; each field is an option of `cliplab audit`."""

    threshold: float = 0.95  # cosine from which two pictures are near-duplicates
    features: str = "pre"  # what the probe of the labels reads; "post": after the projection
    weights: Path | None = None  # a local checkpoint for the encoder named
    device: str = "auto"
    precision: str | None = None  # None: float32
    batch_size: int = 64  # pictures encoded at once
    workers: int | None = None  # threads that read and decode; None: one a core
    seed: int = 0  # of the folds
    max_pixels: int | None = None  # larger pictures count as unreadable; None: the stated limit
    home: Path | None = None  # folder of what is kept; None: CLIPLAB_HOME

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise UsageError(f"--threshold {self.threshold}: give a cosine in 0..1, such as 0.95.")
        if self.features not in ("pre", "post"):
            raise UsageError(f"--features {self.features}: give pre or post.")


class Finding(NamedTuple):
    """One line of `review.csv`: a picture (or class) to look at, and why."""

    path: str  # id of the picture; "" for a class
    kind: str  # one of `KINDS`
    given: str  # the label as given; "" without one
    suggested: str  # the label that the other pictures suggest, or ""
    score: float | None  # label: 0 surely wrong, 1/2 tied; duplicate: cosine; odd: how far out
    other_path: str  # the picture that it doubles, or ""
    reason: str


class Audit(NamedTuple):
    """What was found, the most doubtful of each kind first."""

    dataset: str
    task: str
    encoder: str
    n: int  # pictures looked at, the unreadable ones among them
    n_labelled: int  # readable pictures with a label
    threshold: float  # of near-duplicates
    probe_accuracy: float | None  # share of labels that the probe of the other folds says as well
    counts: dict[str, int]  # findings by kind, all kinds
    n_across_splits: int  # duplicates of which the two are in different splits
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]  # what could not be judged, or is to be doubted

    def first(self, kind: str, most: int) -> list[Finding]:
        """Give the most doubtful findings of a kind."""
        return [one for one in self.findings if one.kind == kind][:most]


def audit(
    dataset: str | Path | Dataset,
    encoder: str | Path | Encoder = DEFAULT_ENCODER,
    config: AuditConfig | None = None,
) -> Audit:
    """Look through a data set for what should be corrected before numbers are believed.

    - Labels: a probe is fitted on four fifths of the pictures and asked about the last fifth, five
      times, copies of a picture in one fold. Suspects are those of confident learning (Northcutt et
      al. 2021), ranked by normalised margin: `metrics.label_quality`.
    - Duplicates: the same bytes; and near-duplicates, of which the vectors, the set's mean taken
      off, have a cosine of at least the threshold (the vectors of one encoder have much in common,
      which would make all pictures alike). For each picture the closest is looked at, and the
      closest in another split.
    - Odd pictures: far from all others (mean cosine distance to ten neighbours, in robust standard
      deviations), of extreme shape, of another size than the rest, or nearly constant.
    - Pictures that cannot be read, with reasons, and classes too small to score.

    Memory is that of the vectors: pairs are looked at in blocks.

    Parameters
    ----------
    dataset
        As for `evaluate`; all its splits are looked through.
    encoder
        As for `evaluate`.
    config
        Threshold, machine and places. Default: `AuditConfig()`.

    Raises
    ------
    UsageError
        An unknown name.
    DataError
        None of the pictures can be read.
    """
    config = config or AuditConfig()
    data, task = _open(dataset, config)
    eye = _load(encoder, config) if isinstance(encoder, str | Path) else encoder
    seen = _embed(data, task, eye, config)
    pool = _pool(data, task, seen)
    near = _nearest(pool)
    shapes = _shapes(pool, data, config)
    judged = _judge(pool, config)
    doubles = list(_duplicates(pool, near, config))
    findings = [
        *_labels(pool, judged),
        *doubles,
        *(Finding(s.id, UNREADABLE, "", "", None, "", s.reason) for s in seen.skipped),
        *_far_out(pool, near),
        *_misshapen(pool, shapes),
        *_small_classes(data, task),
    ]
    return Audit(
        data.name,
        task.name,
        eye.name,
        len(data),
        int((pool.labels != UNLABELLED).sum()),
        config.threshold,
        _agreement(pool, judged),
        {kind: sum(one.kind == kind for one in findings) for kind in KINDS},
        sum(ACROSS in one.reason for one in doubles),
        tuple(findings),
        tuple(_notes(pool, judged, near, config)),
    )


def write_review(path: Path, found: Audit) -> None:
    """Write a line a finding as CSV: path, kind, given, suggested, score, other_path, reason."""
    from cliplab.report.tables import write_csv

    rows = [
        one._asdict() | {"score": None if one.score is None else f"{one.score:.4f}"}
        for one in found.findings
    ]
    write_csv(path, rows, columns=Finding._fields)


# ------------------------------------------------------------------------------- what is seen


class _Pool(NamedTuple):
    """The n pictures that can be read, in the order of their vectors."""

    seen: Embeddings
    rows: np.ndarray  # (n,) int64, of the data set
    labels: np.ndarray  # (n,) int64 in -1..C-1
    splits: np.ndarray  # (n,) str objects
    groups: np.ndarray  # (n,) int64, the same for pictures of the same bytes
    firsts: np.ndarray  # (G,) int64, the first picture of each group
    names: tuple[str, ...]  # C class names

    def id(self, i: int) -> str:
        """Id of a picture."""
        return str(self.seen.ids[i])

    def given(self, i: int) -> str:
        """Name of the label of a picture; "" without one."""
        return "" if self.labels[i] == UNLABELLED else self.names[self.labels[i]]


def _open(dataset: str | Path | Dataset, config: AuditConfig) -> tuple[Dataset, Task]:
    from cliplab.datasets.family import open_dataset

    if isinstance(dataset, Dataset):
        return dataset, dataset.task()
    data, name = open_dataset(str(dataset), home=home_of(config.home))
    return data, data.task(name)


def _load(name: str | Path, config: AuditConfig) -> Encoder:
    from cliplab.encoders.open_clip import load_encoder

    return load_encoder(
        name, weights=config.weights, device=config.device, precision=config.precision
    )


def _embed(data: Dataset, task: Task, eye: Encoder, config: AuditConfig) -> Embeddings:
    from cliplab.embeddings.extract import ExtractConfig, embed

    settings = ExtractConfig(
        batch_size=config.batch_size, workers=config.workers, max_pixels=config.max_pixels
    )
    rows, home = np.arange(len(data)), home_of(config.home)
    return embed(data, eye, task=task.name, rows=rows, config=settings, home=home).embeddings


def _pool(data: Dataset, task: Task, seen: Embeddings) -> _Pool:
    row_of = {str(id_): row for row, id_ in enumerate(data.ids)}
    rows = np.array([row_of[str(id_)] for id_ in seen.ids], dtype=np.int64)
    # one whose content is not known is like no other
    content = np.array([str(data.digests[row]) or f"row {row}" for row in rows])
    _, firsts, groups = np.unique(content, return_index=True, return_inverse=True)
    labels, splits = data.labels[task.name][rows], data.splits[task.name][rows]
    return _Pool(seen, rows, labels, splits, groups, firsts, task.class_names)


def _nearest(pool: _Pool) -> Neighbours:
    """Neighbours among the first pictures of all groups, numbered as these."""
    from cliplab.metrics.neighbours import nearest

    vectors = pool.seen.vectors[pool.firsts]
    splits = np.unique(pool.splits[pool.firsts].astype(str), return_inverse=True)[1]
    centred = normalise(vectors - vectors.mean(axis=0))
    with progress("comparing", len(vectors)) as advance:
        return nearest(centred, splits, NEIGHBOURS, advance=advance)


# ------------------------------------------------------------------------------- labels


def _judge(pool: _Pool, config: AuditConfig) -> OutOfFold | None:
    from cliplab.classifiers.out_of_fold import out_of_fold

    return out_of_fold(
        pool.seen, pool.labels, pool.groups, features=config.features, seed=config.seed
    )


def _agreement(pool: _Pool, judged: OutOfFold | None) -> float | None:
    if judged is None:
        return None
    said = judged.classes[judged.probabilities.argmax(axis=1)]
    return float((said == pool.labels[judged.rows]).mean())


def _labels(pool: _Pool, judged: OutOfFold | None) -> Iterator[Finding]:
    from cliplab.metrics.label_quality import label_quality

    if judged is None:
        return
    rows, classes, probabilities = judged
    quality = label_quality(probabilities, np.searchsorted(classes, pool.labels[rows]))
    suspects = np.flatnonzero(quality.suspect)
    for at in suspects[np.argsort(quality.margin[suspects], kind="stable")]:
        i, likeliest = int(rows[at]), quality.likeliest[at]
        suggested, given = pool.names[classes[likeliest]], pool.given(i)
        own, other = quality.confidence[at], probabilities[at, likeliest]
        reason = f"looks like {suggested} ({other:.0%}) rather than {given} ({own:.0%})"
        yield Finding(pool.id(i), LABEL, given, suggested, float(quality.margin[at]), "", reason)


# ------------------------------------------------------------------------------- duplicates


def _duplicates(pool: _Pool, near: Neighbours, config: AuditConfig) -> Iterator[Finding]:
    for i, first in enumerate(pool.firsts[pool.groups]):
        if i != first:
            yield _doubled(pool, i, int(first), 1.0)
    pairs: dict[tuple[int, int], float] = {}
    closest = ((near.others[:, :1].T, near.cosine[:, :1].T), (near.across, near.across_cosine))
    for others, cosines in (map(np.ravel, found) for found in closest):
        for here in np.flatnonzero(cosines >= config.threshold):
            pair = sorted((int(pool.firsts[here]), int(pool.firsts[others[here]])))
            pairs[pair[1], pair[0]] = float(cosines[here])
    for (i, other), cosine in sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0])):
        yield _doubled(pool, i, other, cosine)


def _doubled(pool: _Pool, i: int, other: int, cosine: float) -> Finding:
    """Say what picture i doubles, whether across splits, and whether under another label."""
    exact = pool.groups[i] == pool.groups[other]
    told = ["the same file" if exact else f"nearly the same picture (cosine {cosine:.3f})"]
    splits = [str(pool.splits[at]) for at in (i, other)]
    if splits[0] != splits[1] and all(splits):
        told.append(f"{ACROSS} {splits[0]}, one in {splits[1]}")
    suggested = ""
    if pool.labels[i] != pool.labels[other] and UNLABELLED not in pool.labels[[i, other]]:
        told.append(f"labelled {pool.given(i)} and {pool.given(other)}")
        suggested = pool.given(other)
    reason = "; ".join(told)
    return Finding(pool.id(i), DUPLICATE, pool.given(i), suggested, cosine, pool.id(other), reason)


# ------------------------------------------------------------------------------- odd pictures


def _far_out(pool: _Pool, near: Neighbours) -> Iterator[Finding]:
    from cliplab.metrics.neighbours import outlyingness

    if near.cosine.shape[1] < NEIGHBOURS:
        return  # too few pictures to say what is usual
    distance = np.maximum(1.0 - near.cosine.astype(np.float64).mean(axis=1), 1e-6)
    far = outlyingness(np.log(distance))  # distances are skewed: their logarithms are not
    for at in np.argsort(-far, kind="stable"):
        if far[at] < FAR_OUT:
            return
        i = int(pool.firsts[at])
        reason = f"unlike all other pictures ({far[at]:.1f} standard deviations out)"
        yield Finding(pool.id(i), ODD, pool.given(i), "", float(far[at]), "", reason)


def _shapes(pool: _Pool, data: Dataset, config: AuditConfig) -> np.ndarray:
    from cliplab.pictures.shapes import MAX_PIXELS, shapes

    limit = config.max_pixels or MAX_PIXELS
    with progress("measuring", len(pool.rows)) as advance:
        return shapes(
            data.source, pool.rows, workers=config.workers, max_pixels=limit, advance=advance
        )


def _misshapen(pool: _Pool, shapes: np.ndarray) -> Iterator[Finding]:
    """Judge the width, height and contrast (n, 3) of each picture."""
    width, height, spread = shapes.T
    pixels, ratio = width * height, np.maximum(width, height) / np.minimum(width, height)
    usual, usual_ratio = np.nanmedian(pixels), np.nanmedian(ratio)
    for i in range(len(shapes)):
        told: list[tuple[float, str]] = []
        size = f"{width[i]:.0f} x {height[i]:.0f} pixels"
        if spread[i] < FLAT:
            told.append((spread[i], f"nearly constant (grey levels spread by {spread[i]:.1f})"))
        if ratio[i] >= max(LONGEST, 2 * usual_ratio):
            told.append((ratio[i], f"a strip: {size}"))
        if max(pixels[i] / usual, usual / pixels[i]) > APART:
            kind = "small" if pixels[i] < usual else "large"
            told.append((pixels[i] / usual, f"very {kind} for this set: {size}"))
        if told:
            reason = "; ".join(words for _, words in told)
            yield Finding(pool.id(i), ODD, pool.given(i), "", float(told[0][0]), "", reason)


def _small_classes(data: Dataset, task: Task) -> Iterator[Finding]:
    from cliplab.metrics.intervals import wilson

    labels, splits = data.labels[task.name], data.splits[task.name]
    n_test = _counts(labels[splits == TEST], task)
    n_all = _counts(labels, task)
    for c in np.argsort(n_test, kind="stable"):
        if n_test[c] >= FEW:
            return
        n = int(n_test[c])
        reason = f"{n} of {n_all[c]:,} pictures held out: "
        if n:
            low, high = wilson(np.array(n / 2), n)
            reason += f"its accuracy is known to ±{50 * float(high - low):.0f} points"
        else:
            reason += "it is not scored"
        yield Finding("", SMALL, task.class_names[c], "", float(n), "", reason)


def _counts(labels: np.ndarray, task: Task) -> np.ndarray:
    counts: np.ndarray = np.bincount(labels[labels != UNLABELLED], minlength=len(task.class_names))
    return counts


def _notes(
    pool: _Pool, judged: OutOfFold | None, near: Neighbours, config: AuditConfig
) -> Iterator[str]:
    """Say what could not be judged, and what is to be doubted."""
    agreement = _agreement(pool, judged)
    if agreement is None:
        yield "Labels were not judged: fewer than two classes have two different pictures."
    elif agreement < UNSURE:
        yield (
            f"The probe says {agreement:.0%} of the labels as they are given, so that its "
            "suspicions are weak: try a stronger --encoder."
        )
    doubled = near.cosine[:, :1] >= config.threshold
    if doubled.size and doubled.mean() > MANY_DOUBLES:
        yield (
            f"{doubled.mean():.0%} of the pictures have a near-duplicate at a cosine of "
            f"{config.threshold}: either the set has many, or the encoder tells its pictures apart "
            "poorly. Look at the first of them, and raise --threshold if they differ."
        )
