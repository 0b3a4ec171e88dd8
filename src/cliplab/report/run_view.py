"""What a page shows of one run, made ready: numbers as text, bars as shares, rows in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

from cliplab.nouns import Record
from cliplab.report.charts import (
    METRICS,
    Chart,
    few_shot_chart,
    overall_chart,
    reliability_chart,
    search_chart,
)
from cliplab.report.compare import compare
from cliplab.report.found_view import FoundView
from cliplab.report.headline import classifier_title, headline
from cliplab.report.layout import p_value, percent, with_interval
from cliplab.report.record import Run
from cliplab.report.reported import BesideReported, beside_reported
from cliplab.runtime.errors import UsageError

WORST = 30  # confused pairs that are listed
SKIPPED = 200  # pictures that could not be read, that are listed


class Tile(NamedTuple):
    """A headline number."""

    title: str
    colour: int  # 1..N_SERIES
    value: str  # percent
    interval: str  # "97.2 to 98.4"; "": none
    others: tuple[tuple[str, str], ...]  # further measures, as text


class Bar(NamedTuple):
    """An accuracy as a bar with its interval; numbers in percent, None: not scored."""

    value: float | None
    low: float
    high: float
    text: str
    correct: str


class ClassRow(NamedTuple):
    """A class in the table by class."""

    name: str
    place: int  # its label
    n: int
    few: bool
    bars: tuple[Bar, ...]  # one a classifier
    difference: float | None  # points, second classifier less the first


class Pair(NamedTuple):
    """Pictures of one class that were taken for another."""

    classifier: int
    given: int  # label
    said: int
    n: int  # pictures
    share: str  # of the given class, percent


class RunView(NamedTuple):
    """One run as the page shows it."""

    key: str  # unique in the page
    record: Record
    data_set: str  # short names
    encoder: str
    parts: tuple[str, ...]  # of the headline
    classifiers: tuple[str, ...]  # titles
    tiles: tuple[Tile, ...]
    sentences: tuple[str, ...]
    charts: Mapping[str, tuple[Chart, ...]]  # by section
    classes: tuple[ClassRow, ...]
    pairs: tuple[Pair, ...]
    reported: BesideReported | None
    skipped: tuple[tuple[str, str, str], ...]  # id, split, reason; the first `SKIPPED`
    settings: tuple[tuple[str, str], ...]
    no_pictures: str  # why there are none; "": there are
    has_map: bool
    n_drawn: int  # pictures of the map
    found: FoundView | None  # of a run of retrieval


def view_of(key: str, run: Run) -> RunView:
    """Make a run ready; pictures and map are the gallery's part."""
    record = run.record
    reported = _reported(record)
    return RunView(
        key=key,
        record=record,
        data_set=short_name(record["dataset"]["name"]),
        encoder=short_name(record["encoder"]["name"]),
        parts=tuple(headline(record).split(" · ")),
        classifiers=tuple(classifier_title(r["classifier"]["name"]) for r in record["results"]),
        tiles=tuple(_tile(result, i) for i, result in enumerate(record["results"])),
        sentences=tuple(_sentences(run)),
        charts=_charts(key, record, reported),
        classes=tuple(_classes(record["results"])),
        pairs=tuple(_pairs(record["results"])),
        reported=reported,
        skipped=tuple((s["id"], s["split"], s["reason"]) for s in record["skipped"][:SKIPPED]),
        settings=tuple(_settings(record)),
        no_pictures="",
        has_map=False,
        n_drawn=0,
        found=None,
    )


def _tile(result: Mapping[str, Any], position: int) -> Tile:
    top1 = result["metrics"]["top1"]
    ends = "" if top1["low"] is None else f"{percent(top1['low'])} to {percent(top1['high'])}"
    others = [
        (METRICS[name], with_interval(result["metrics"].get(name)))
        for name in METRICS
        if name != "top1"
    ]
    if rest := result.get("without_catch_all"):
        without = " and ".join(f"“{name}”" for name in rest["classes"])
        others.append((f"top-1 without {without}", with_interval(rest["metrics"]["top1"])))
    title = classifier_title(result["classifier"]["name"])
    return Tile(title, position + 1, percent(top1["value"]), ends, tuple(others))


def _sentences(run: Run) -> list[str]:
    """Say in words which classifier is ahead, and whether the difference may be noise."""
    record = run.record
    if len(record["results"]) < 2:
        return []
    compared = compare([run], seed=record["seed"]).results
    best = next(c for c in compared if c.best)
    told = []
    for other in compared:
        if other.best or other.difference is None or other.difference.low is None:
            continue
        names = classifier_title(other.classifier), classifier_title(best.classifier)
        gap = other.difference
        surely = "more than noise" if (gap.high or 0) < 0 else "which may be noise"
        p = p_value(other.mcnemar.mid_p if other.mcnemar else None)
        told.append(
            f"{names[0]} against {names[1]} on the same pictures: "
            f"{with_interval(gap, signed=True)} points, {surely} (McNemar p {p})."
        )
    return told


def _charts(
    key: str, record: Record, reported: BesideReported | None
) -> dict[str, tuple[Chart, ...]]:
    found: dict[str, list[Chart | None]] = {"overall": [], "sure": [], "shots": [], "search": []}
    overall = (
        {n.classifier: n.reported for n in reported.numbers if n.name == "all"}
        if (reported)
        else None
    )
    if record["results"]:
        found["overall"] = [overall_chart(f"{key}-overall", record, overall)]
        found["shots"] = [few_shot_chart(f"{key}-shots", record)]
    for i, result in enumerate(record["results"]):
        found["sure"].append(reliability_chart(f"{key}-sure-{i}", result, i))
        found["search"].append(search_chart(f"{key}-search-{i}", result, i))
    return {name: tuple(c for c in charts if c is not None) for name, charts in found.items()}


def _reported(record: Record) -> BesideReported | None:
    try:
        return beside_reported(record)
    except UsageError:
        return None


def _classes(results: Sequence[Mapping[str, Any]]) -> list[ClassRow]:
    rows = []
    for place, entries in enumerate(zip(*(r["per_class"] for r in results), strict=True)):
        shares = [entry["accuracy"] for entry in entries]
        apart = None
        if len(shares) > 1 and shares[0] is not None and shares[1] is not None:
            apart = 100 * (shares[1] - shares[0])
        few = any(entry.get("few") for entry in entries)
        first = entries[0]
        bars = tuple(map(_bar, entries))
        rows.append(ClassRow(first["name"], place, first["n"], few, bars, apart))
    return rows


def _bar(entry: Mapping[str, Any]) -> Bar:
    if entry["accuracy"] is None:
        return Bar(None, 0.0, 0.0, "–", "–")
    value, low, high = (100 * entry[key] for key in ("accuracy", "low", "high"))
    return Bar(value, low, high, f"{value:.1f}", f"{entry['correct']:,} of {entry['n']:,}")


def _pairs(results: Sequence[Mapping[str, Any]]) -> list[Pair]:
    """List the most counted confusions of each classifier."""
    found = []
    for position, result in enumerate(results):
        wrong = [(n, -given, -said) for given, said, n in result["confusion"] if given != said]
        for n, given, said in sorted(wrong, reverse=True)[:WORST]:
            total = result["per_class"][-given]["n"]
            found.append(Pair(position, -given, -said, n, percent(n / total)))
    return found


def _settings(record: Record) -> list[tuple[str, str]]:
    """Name and value of what the run was made with."""
    machine, timings = record["machine"], record["timings"]
    told = [
        ("run", str(record.run)),
        ("made", record["created"].replace("T", " ").partition(".")[0] + " UTC"),
        ("data set", f"{record['dataset']['name']}, task {record['dataset']['task']}"),
        ("content", record["dataset"]["digest"][:16]),
        ("licence", record["dataset"].get("licence") or "not stated by the source"),
        ("encoder", f"{record['encoder']['name']}, identity {record['encoder']['digest'][:16]}"),
        ("seed", str(record["seed"])),
        *((key.replace("_", " "), described(value)) for key, value in machine.items()),
        *((f"seconds, {k}", f"{v:,.2f}") for k, v in timings.items() if v and "pict" not in k),
        *((k.replace("_", " "), f"{v:,.6g}") for k, v in timings.items() if v and "pict" in k),
    ]
    for result in record["results"]:
        title = classifier_title(result["classifier"]["name"])
        given = result["classifier"]["settings"]
        told += [(f"{title}: {key}", described(value)) for key, value in given.items()]
    changed = {k: v for k, v in record["config"].items() if v not in (None, [], False)}
    return told + [(f"--{key.replace('_', '-')}", described(v)) for key, v in changed.items()]


def described(value: Any) -> str:
    """Give a setting as text: numbers short, lists with commas."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(described, value))
    return str(value)


def short_name(name: str) -> str:
    """Give the last part of a path that is written out; a name as it is."""
    return PurePath(name).name if name.startswith(("/", "~", "..")) else name
