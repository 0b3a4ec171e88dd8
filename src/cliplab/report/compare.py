"""Runs side by side: each result, and how far it lies behind the best on the same pictures.

A difference between two results over the same pictures is far surer than their two intervals
suggest, since a picture that is hard is hard for both. So results are joined picture by picture,
and runs over different test sets are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cliplab.metrics.intervals import paired_difference
from cliplab.metrics.significance import McNemar, mcnemar
from cliplab.nouns import Measure, Record
from cliplab.report.record import Run, read_run
from cliplab.report.runs import RUNS, find_run, latest_run, list_runs
from cliplab.runtime.errors import DataError, Faults, UsageError


@dataclass(frozen=True, slots=True)
class Compared:
    """One result among those compared."""

    run: Path
    encoder: str
    classifier: str
    metrics: Mapping[str, Measure]  # fractions in 0..1
    per_class: Sequence[Mapping[str, Any]]  # as in the record, in label order
    pictures_per_second: float | None
    difference: Measure | None  # top-1 minus that of the best of its group; None: it is the best
    best: bool  # of its group
    mcnemar: McNemar | None = None  # against that best, "a" being this result


@dataclass(frozen=True, slots=True)
class Comparison:
    """Results over one test set, side by side.

    A group, within which results are measured against the best, is a classifier; the results of
    one run alone are one group.
    """

    dataset: str
    task: str
    split: str
    n: int  # pictures, the same for all
    class_names: tuple[str, ...]
    results: tuple[Compared, ...]  # in the order of the runs given


def compare_runs(names: Sequence[str] = (), *, root: Path = RUNS, seed: int = 0) -> Comparison:
    """Compare runs by name (as `find_run` takes them).

    Without names: all complete runs over the test set of the newest one.
    """
    if names:
        folders = [find_run(name, root) for name in names]
    else:
        newest = latest_run(root)
        entries = [entry for entry in list_runs(root) if entry.complete]
        wanted = next(e.test_set for e in entries if e.folder == newest)
        folders = [e.folder for e in entries if wanted and e.test_set == wanted] or [newest]
    return compare((read_run(folder) for folder in dict.fromkeys(folders)), seed=seed)


class _Told(NamedTuple):
    """What one classifier of a run said: as `Predictions`, without the scores, which are large."""

    record: Record
    ids: np.ndarray  # (M,) str objects
    labels: np.ndarray  # (M,) int64
    correct: np.ndarray  # (M,) bool
    class_names: tuple[str, ...]


def compare(runs: Iterable[Run], *, seed: int = 0) -> Comparison:
    """Put the results of runs side by side, with the paired difference to the best of each group.

    Parameters
    ----------
    runs
        At least one; all over the same test set, in any order of pictures. Each is let go once
        read, so that an iterator keeps the scores of one run at a time in memory.
    seed
        Of the intervals of the differences.

    Raises
    ------
    DataError
        If the runs were scored on different pictures, labels or classes; it says which.
    """
    records, told = [], []
    for run in runs:
        if "retrieval" in run.record.data:
            raise DataError(
                f"{run.record.run} scored retrieval, and runs are compared by their classifiers. "
                "Name runs of classifiers. `cliplab evaluate NAME:retrieval` with several "
                "--encoder puts retrieval side by side."
            )
        records.append(run.record)
        told += _told(run)
    if not records:
        raise UsageError("No runs to compare; name some, or make them with `cliplab evaluate`.")
    _check_same_test_set(told)
    entries = [entry for record in records for entry in record["results"]]
    groups = [None if len(records) == 1 else e["classifier"]["name"] for e in entries]
    best = _best(groups, [t.correct for t in told])
    results = []
    for position, (group, entry) in enumerate(zip(groups, entries, strict=True)):
        mine, ahead = told[position], told[best[group]]
        difference, test = None, None
        if mine is not ahead:
            difference = paired_difference(mine.correct, ahead.correct, seed)
            test = mcnemar(mine.correct, ahead.correct)
        results.append(_compared(mine.record, entry, difference, test))
    dataset = records[0]["dataset"]
    return Comparison(
        dataset=dataset["name"],
        task=dataset["task"],
        split=dataset["split"],
        n=len(told[0].ids),
        class_names=told[0].class_names,
        results=tuple(results),
    )


def _told(run: Run) -> list[_Told]:
    """Give what each classifier of a run said, in the order of its record, sorted by id."""
    found = []
    for entry in run.record["results"]:
        name = entry["classifier"]["name"]
        if name not in run.predictions:
            raise DataError(
                f"{run.record.run}: predictions.parquet lacks {name}, which the record has. "
                "Run the evaluation again."
            )
        given = run.predictions[name]
        order = np.argsort(given.ids.astype(str))
        labels, correct = given.labels[order], (given.predicted == given.labels)[order]
        found.append(_Told(run.record, given.ids[order], labels, correct, given.class_names))
    if not found:
        raise DataError(f"{run.record.run}: no classifier was scored, so nothing is to compare.")
    return found


def _best(groups: Sequence[str | None], correct: Sequence[np.ndarray]) -> dict[str | None, int]:
    """Position of the best of each group, the first of equals."""
    best: dict[str | None, int] = {}
    for position, group in enumerate(groups):
        if group not in best or correct[position].sum() > correct[best[group]].sum():
            best[group] = position
    return best


def _compared(
    record: Record,
    entry: Mapping[str, Any],
    difference: Measure | None,
    test: McNemar | None,
) -> Compared:
    return Compared(
        run=record.run,
        encoder=record["encoder"]["name"],
        classifier=entry["classifier"]["name"],
        metrics={name: Measure(**measure) for name, measure in entry["metrics"].items()},
        per_class=entry["per_class"],
        pictures_per_second=record["timings"]["pictures_per_second"],
        difference=difference,
        best=difference is None,
        mcnemar=test,
    )


# ------------------------------------------------------------------------------- the same test set


def _check_same_test_set(told: Sequence[_Told]) -> None:
    """Refuse results whose pictures, labels or classes differ from the first's, saying how."""
    faults = Faults()
    first, *others = told
    for line in dict.fromkeys(line for other in others for line in _differences(first, other)):
        faults.add(line)
    faults.raise_any(
        "These runs were not scored on the same test set, so their numbers cannot be compared. "
        "Evaluate the encoders on the same pictures, task and split. What differs:"
    )


def _differences(a: _Told, b: _Told) -> list[str]:
    """Say what differs between two test sets; empty: they are the same."""
    pair = f"{a.record.run.name} and {b.record.run.name}"
    found = []
    if a.class_names != b.class_names and not _differ_in_wording(a, b):
        found.append(f"{pair}: {_of_classes(a.class_names, b.class_names)}")
    if not np.array_equal(a.ids, b.ids):
        found += [_of_pictures(a, b), _of_pictures(b, a)]
    elif not np.array_equal(a.labels, b.labels):
        found.append(f"{pair}: {_of_labels(a, b)}")
    elif not found and _bytes_differ(a.record, b.record):
        found.append(f"{pair}: the same ids and labels, but the pictures' files were changed")
    return [line for line in found if line]


def _differ_in_wording(a: _Told, b: _Told) -> bool:
    """Whether the classes are the same and merely called otherwise, as by `--classes`.

    Equal digests say that each picture has the same label in both.
    """
    digests = {told.record["dataset"].get("pictures_digest") for told in (a, b)}
    if None in digests or len(digests) > 1 or len(a.class_names) != len(b.class_names):
        return False
    return sorted(a.class_names) != sorted(b.class_names)


def _of_classes(a: Sequence[str], b: Sequence[str]) -> str:
    if len(a) != len(b):
        return f"{len(a)} and {len(b)} classes"
    if sorted(a) == sorted(b):
        return "the same classes in another order, so that a label means another class"
    apart = [(x, y) for x, y in zip(a, b, strict=True) if x != y]
    return f"{len(apart)} class names differ, such as {apart[0][0]!r} and {apart[0][1]!r}"


def _of_pictures(mine: _Told, theirs: _Told) -> str:
    alone = sorted(set(mine.ids).difference(theirs.ids))
    if not alone:
        return ""
    line = f"{len(alone):,} pictures of {mine.record.run.name} are not in "
    line += f"{theirs.record.run.name}, such as {', '.join(alone[:3])}"
    unread = {entry["id"] for entry in theirs.record["skipped"]}.intersection(alone)
    return line + (f" ({len(unread):,} could not be read there)" if unread else "")


def _of_labels(a: _Told, b: _Told) -> str:
    apart = np.flatnonzero(a.labels != b.labels)
    examples = ", ".join(
        f"{a.ids[i]} ({a.class_names[a.labels[i]]!r} and {b.class_names[b.labels[i]]!r})"
        for i in apart[:3]
    )
    return f"{len(apart):,} pictures have another label, such as {examples}"


def _bytes_differ(a: Record, b: Record) -> bool:
    digests = [record["dataset"].get("pictures_digest") for record in (a, b)]
    return None not in digests and digests[0] != digests[1]
