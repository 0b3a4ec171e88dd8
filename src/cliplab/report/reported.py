"""The reported results that this project set out to reproduce, and a run set beside them.

`reported_results.json` holds the tables of a published student project on CLIP as they stand
there: accuracies in percent, most of them rounded to whole ones. They come without counts of the
pictures scored and without intervals, so a difference is held against the interval of the run.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from cliplab.nouns import Measure, Record
from cliplab.report.headline import classifier_title
from cliplab.report.layout import with_interval
from cliplab.runtime.errors import UsageError

FILE = "reported_results.json"
OVERALL = "all"  # the row over all classes
CLASSIFIERS = ("zero_shot", "linear_probe")
BENCHMARK = "benchmark"  # DomainNet's column of a supervised model
DOMAINNET = "domainnet"


class ReportedValue(NamedTuple):
    """An accuracy as it was reported."""

    value: float  # in 0..1
    rounding: float  # half of its last digit: 0.005 where a whole percent is given

    def within(self, measure: Measure) -> bool | None:
        """Whether it may lie in the interval of a measure; None: that is not scored."""
        if measure.low is None or measure.high is None:
            return None
        return measure.low <= self.value + self.rounding and (
            self.value - self.rounding <= measure.high
        )


class ReportedRow(NamedTuple):
    """A row of a reported table."""

    reported_as: str  # its name in the report
    name: str  # the class (or domain) as cliplab calls it; "all": over all classes
    values: Mapping[str, ReportedValue]  # classifier (or "benchmark") → accuracy


class ReportedTable(NamedTuple):
    """What was reported of one task of one data set."""

    table: str  # key in the file: "domainnet", "paris", "oxford", "wikiart"
    dataset: str  # catalogue name
    task: str
    images: int | None  # as the report counts them; None: it does not say
    overall: ReportedRow
    rows: tuple[ReportedRow, ...]  # by class, in the report's order; none for DomainNet


_PARIS = {  # the report's name of a row → the class
    "La Defense": "La Défense",
    "general": "Paris",
    "Hotel des Invalides": "Les Invalides",
    "Musee d'Orsay": "Musée d'Orsay",
    "Notre Dame": "Notre-Dame de Paris",
    "Pantheon": "Panthéon",
    "Pompidou": "Centre Pompidou",
    "Sacre Coeur": "Sacré-Cœur",
}
_OXFORD = {
    "All Souls": "All Souls College",
    "Ashmolean": "Ashmolean Museum",
    "Balliol": "Balliol College",
    "Bodleian": "Bodleian Library",
    "Cornmarket": "Cornmarket Street",
    "Hertford": "Hertford College",
    "Jesus": "Jesus College",
    "Keble": "Keble College",
    "Magdalen": "Magdalen College",
    "New": "New College",
    "Oriel": "Oriel College",
    "general": "Oxford",
    "Pitt Rivers": "Pitt Rivers Museum",
    "Trinity": "Trinity College",
    "Worcester": "Worcester College",
}
_TASKS = {
    "paris": ("paris", "query_word"),
    "oxford": ("oxford", "query_word"),
    "wikiart": ("wikiart/artist195", "style13"),
}
_CALLED: Mapping[str, Mapping[str, str]] = {"paris": _PARIS, "oxford": _OXFORD, "wikiart": {}}


@functools.cache
def reported_tables() -> tuple[ReportedTable, ...]:
    """All that was reported, in the report's order: six domains, Paris, Oxford, WikiArt."""
    found = _file()
    domainnet = found[DOMAINNET]
    tables = []
    for domain, numbers in domainnet["rows"].items():
        row = _row(domain, OVERALL, domainnet["columns"], numbers)
        tables.append(ReportedTable(DOMAINNET, f"domainnet/{domain}", "label", None, row, ()))
    for key, (dataset, task) in _TASKS.items():
        columns, called = found[key]["columns"], _CALLED[key]
        overall = _row(OVERALL, OVERALL, columns, found[key]["overall"])
        rows = [
            _row(name, called.get(name, name), columns, numbers)
            for name, numbers in found[key]["rows"].items()
        ]
        images = found[key]["images"]
        tables.append(ReportedTable(key, dataset, task, images, overall, tuple(rows)))
    return tuple(tables)


def reported_source() -> str:
    """Where the reported results come from, in a sentence."""
    return str(_file()["source"])


@functools.cache
def _file() -> dict[str, Any]:
    text = resources.files("cliplab.report").joinpath(FILE).read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _row(
    reported_as: str, name: str, columns: Sequence[str], numbers: Sequence[float]
) -> ReportedRow:
    values = {}
    for column, percent in zip(columns, numbers, strict=True):
        half_digit = 0.5 if isinstance(percent, int) else 0.005  # in percent
        values[column] = ReportedValue(percent / 100, half_digit / 100)
    return ReportedRow(reported_as, name, values)


# ---------------------------------------------------------------------------- a run beside it


@dataclass(frozen=True, slots=True)
class Beside:
    """A reported number, and ours."""

    name: str  # the class as cliplab calls it; "all": over all classes
    reported_as: str  # the row's name in the report
    classifier: str
    reported: float  # in 0..1
    n: int | None  # pictures behind ours; None: nothing was measured
    ours: Measure
    difference: float | None  # ours minus the reported one; None: not scored
    within: bool | None  # whether the reported value may lie in our interval


@dataclass(frozen=True, slots=True)
class BesideReported:
    """A run set beside the reported results of its task."""

    run: Path
    dataset: str
    task: str
    split: str
    encoder: str
    numbers: tuple[Beside, ...]  # over all classes first, then by class; a classifier at a time
    notes: tuple[str, ...]  # where the two differ in candidates, counts or protocol
    source: str


@dataclass(frozen=True, slots=True)
class Reproduced:
    """One task of the report, and what was measured of it."""

    table: str  # of the report: "domainnet", "paris", "oxford", "wikiart"
    dataset: str
    task: str
    benchmark: float | None  # DomainNet's number of a supervised model, in 0..1
    numbers: tuple[Beside, ...]
    notes: tuple[str, ...]  # where the two differ in candidates, counts or protocol
    run: Path | None  # None: the data set is not prepared here
    prepare: tuple[str, ...]  # names to give to `cliplab prepare`; none: it is there


def reported_for(dataset: str, task: str) -> ReportedTable:
    """Give what was reported of a task.

    Raises
    ------
    UsageError
        Nothing was; the message lists what there is.
    """
    name = dataset.rstrip("/")
    for table in reported_tables():
        if (table.dataset, table.task) == (name, task):
            return table
    known = ", ".join(f"{table.dataset}:{table.task}" for table in reported_tables())
    raise UsageError(
        f"Nothing was reported of {dataset}:{task}. There are reported results of {known}."
    )


def beside_reported(record: Record) -> BesideReported:
    """Set a run beside the reported results of its data set and task.

    Raises
    ------
    UsageError
        Nothing was reported of its task, or it has none of the classifiers reported.
    """
    dataset = record["dataset"]
    table = reported_for(dataset["name"], dataset["task"])
    results = {result["classifier"]["name"]: result for result in record["results"]}
    if not results.keys() & set(CLASSIFIERS):
        raise UsageError(
            f"{record.run} has neither zero-shot nor a linear probe, which is what was reported. "
            f"Evaluate {dataset['name']} with --classifier zero_shot,linear_probe."
        )
    numbers = [
        beside(row, classifier, *_ours(results[classifier], row.name))
        for classifier in CLASSIFIERS
        if classifier in results
        for row in (table.overall, *table.rows)
    ]
    return BesideReported(
        run=record.run,
        dataset=dataset["name"],
        task=dataset["task"],
        split=dataset["split"],
        encoder=record["encoder"]["name"],
        numbers=tuple(numbers),
        notes=tuple(_notes(record, table)),
        source=reported_source(),
    )


def beside(row: ReportedRow, classifier: str, n: int | None, ours: Measure) -> Beside:
    """Put a measure of ours next to a reported number; `n` None: nothing was measured."""
    reported = row.values[classifier]
    difference = None if ours.value is None else ours.value - reported.value
    return Beside(
        name=row.name,
        reported_as=row.reported_as,
        classifier=classifier,
        reported=reported.value,
        n=n,
        ours=ours,
        difference=difference,
        within=reported.within(ours),
    )


def _ours(result: Mapping[str, Any], name: str) -> tuple[int | None, Measure]:
    if name == OVERALL:
        n = sum(row["n"] for row in result["per_class"])
        return n, Measure(**result["metrics"]["top1"])
    for row in result["per_class"]:
        if _plain(row["name"]) == _plain(name):
            return row["n"], Measure(row["accuracy"], row["low"], row["high"])
    return None, Measure(None)


def _plain(name: str) -> str:
    """Give a name of a class as it is looked for: case, hyphens and underscores do not count."""
    return name.replace("_", " ").replace("-", " ").casefold()


# ---------------------------------------------------------------------------- what differs


_WIKIART = (
    "The report counts the pictures of 195 artists in all styles, but its rows are thirteen: "
    "weighted by the counts of those styles here (26,531) they come to 38.9 and 81.3 %, beside its "
    "38.69 and 81.36 in all, so it most likely scored the thirteen alone. The exact pictures are "
    "not known."
)


def _notes(record: Record, table: ReportedTable) -> list[str]:
    dataset = record["dataset"]
    names = [row["name"] for row in record["results"][0]["per_class"]]
    notes = [*_counts(record, table), *_candidates(names, table)]
    notes += _rest(record)
    if dataset["split"] != "test":
        notes.append(f"This run scored the split {dataset['split']!r}, not held-out pictures.")
    notes.append(
        "The report says neither which pictures it scored nor how many of each class, names no "
        f"encoder (an OpenAI CLIP; here {record['encoder']['name']}) and gives no prompts: beyond "
        "our interval a difference may still be its own noise, or its protocol."
    )
    judged = [result["classifier"]["name"] for result in record["results"]]
    missing = [name for name in CLASSIFIERS if name not in judged]
    notes += [f"This run has no {classifier_title(name)}." for name in missing]
    return notes


def _rest(record: Record) -> list[str]:
    """Say how the classifiers do without the catch-all classes, which the report does not give."""
    rests = [(r["classifier"]["name"], r.get("without_catch_all")) for r in record["results"]]
    told = [
        f"{classifier_title(name)} {with_interval(rest['metrics']['top1'])}"
        for name, rest in rests
        if rest
    ]
    if not told:
        return []
    first = next(rest for _name, rest in rests if rest)
    classes = " and ".join(f"“{name}”" for name in first["classes"])
    return [
        f"Without the pictures of {classes}, which hold whatever fits no other class (n "
        f"{first['n']:,}): {', '.join(told)} %. The report gives no such number."
    ]


def _counts(record: Record, table: ReportedTable) -> list[str]:
    dataset = record["dataset"]
    here = f"here {dataset['n_total']:,} are labelled, of which {dataset['n']:,} were scored"
    if unread := len(record["skipped"]):
        here += f" and {unread:,} could not be read"
    if table.images is None:
        return [f"Pictures: the report gives no count; {here}."]
    apart = dataset["n_total"] - table.images
    told = f"{abs(apart):,} {'more' if apart > 0 else 'fewer'}" if apart else "the same number"
    lines = [f"Pictures: {table.images:,} in the report, {here}: {told}."]
    return lines + ([_WIKIART] if table.table == "wikiart" else [])


def _candidates(names: Sequence[str], table: ReportedTable) -> list[str]:
    if not table.rows:
        return [f"Candidates: the report does not say; here {len(names)} classes."]
    lines = [f"Candidates: {len(table.rows)} rows in the report, {len(names)} classes here."]
    here = {_plain(name) for name in names}
    there = {_plain(row.name) for row in table.rows}
    alone = [name for name in names if _plain(name) not in there]
    absent = [row.reported_as for row in table.rows if _plain(row.name) not in here]
    renamed = [
        f"{row.reported_as} is {row.name}"
        for row in table.rows
        if _plain(row.name) in here and _plain(row.reported_as) != _plain(row.name)
    ]
    if renamed:
        lines.append(f"Rows whose class is called otherwise here: {', '.join(renamed)}.")
    if alone:
        lines.append(f"Classes here that the report has no row for: {', '.join(alone)}.")
    if absent:
        lines.append(f"Rows of the report without a class here: {', '.join(absent)}.")
    return lines
