"""Records as tables for people, and as rows for programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from cliplab.metrics.classification import FEW_PICTURES, WIDE
from cliplab.nouns import Measure, Record
from cliplab.report.compare import Compared, Comparison, compare
from cliplab.report.few_shot import few_shot_rows, has_curves
from cliplab.report.headline import classifier_title
from cliplab.report.layout import NOT_SCORED, lay_out, p_value, percent, rate, with_interval
from cliplab.report.predictions import read_predictions
from cliplab.report.record import Run
from cliplab.report.runs import RunEntry
from cliplab.runtime.storage import write_bytes

LONG, ENDS = 30, 10  # more classes than LONG are shown as the best and the worst ENDS

FEW_MARK = " *"  # after the name of a class with few pictures
_OF_CURVES = ("shots", "repeats", "top1_std")
_METRICS = {
    "top1": "top-1\n%",
    "top5": "top-5\n%",
    "mean_per_class": "mean per\nclass %",
    "ece": "ECE\n%",
}


# ---------------------------------------------------------------------------------- one record


def evaluation_table(record: Record) -> Table:
    """Overall scores: a row a classifier, with intervals.

    Where the task has catch-all classes, each classifier has a second row without their pictures.
    """
    rows = []
    for result in record["results"]:
        title = classifier_title(result["classifier"]["name"])
        rows.append([title, *_metric_cells(result["metrics"])])
        if rest := result.get("without_catch_all"):
            rows.append([f"  {_without(rest)}, n {rest['n']:,}", *_metric_cells(rest["metrics"])])
    return lay_out(["classifier"], list(_METRICS.values()), rows)


def _metric_cells(metrics: Mapping[str, Any]) -> list[str]:
    return [with_interval(metrics.get(metric)) for metric in _METRICS]


def _without(rest: Mapping[str, Any]) -> str:
    return "without " + " and ".join(f"“{name}”" for name in rest["classes"])


def per_class_table(record: Record, *, all_classes: bool = False) -> Table:
    """Scores by class, in label order, each classifier's correct count and accuracy.

    Of more than 30 classes the ten best and the ten worst by the first classifier are shown, best
    first, unless all are asked for.
    """
    results = record["results"]
    titles = [classifier_title(result["classifier"]["name"]) for result in results]
    columns = [result["per_class"] for result in results]
    numbers = ["n", *(text for t in titles for text in (f"{t}\ncorrect", f"{t}\n%"))]
    return _class_rows(columns, numbers, _counted_row, all_classes)


def _counted_row(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    cells = [_class_cell(entries), f"{entries[0]['n']:,}"]
    for entry in entries:
        told = Measure(entry["accuracy"], entry["low"], entry["high"])
        cells += [f"{entry['correct']:,}" if entry["n"] else NOT_SCORED, with_interval(told)]
    return cells


def _class_cell(entries: Sequence[Mapping[str, Any]]) -> str:
    few = any(entry.get("few") for entry in entries)
    return str(entries[0]["name"]) + (FEW_MARK if few else "")


def few_note(rows: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    """Say what the mark after a class means; empty where no class of these tables has it."""
    marked = {row["name"] for classes in rows for row in classes if row.get("few")}
    if not marked:
        return ""
    return (
        f"* few pictures ({len(marked):,} of {len(rows[0]):,} classes): "
        f"under {FEW_PICTURES}, or an interval wider than {100 * WIDE:.0f} points"
    )


def _class_rows(
    columns: Sequence[Sequence[Mapping[str, Any]]],
    numbers: Sequence[str],
    row: Callable[[Sequence[Mapping[str, Any]]], list[str]],
    all_classes: bool,
) -> Table:
    by_class = list(zip(*columns, strict=True))
    if all_classes or len(by_class) <= LONG:
        return lay_out(["class"], numbers, [row(entries) for entries in by_class])
    scored = [entries for entries in by_class if entries[0]["accuracy"] is not None]
    scored.sort(key=lambda entries: -entries[0]["accuracy"])
    best, worst = scored[:ENDS], scored[ENDS:][-ENDS:]
    n_hidden = len(by_class) - len(best) - len(worst)
    gap = [f"… {n_hidden} more classes", *[""] * len(numbers)]
    return lay_out(["class"], numbers, [*map(row, best), gap, *map(row, worst)])


# ---------------------------------------------------------------------------------- several


def comparison_table(comparison: Comparison) -> Table:
    """Results side by side, with the paired difference of top-1 to the best of each group."""
    rows = [
        [
            str(number),
            str(result.run),
            result.encoder,
            classifier_title(result.classifier),
            *(with_interval(result.metrics.get(metric)) for metric in _METRICS),
            "best" if result.best else with_interval(result.difference, signed=True),
            p_value(result.mcnemar.mid_p if result.mcnemar else None),
            rate(result.pictures_per_second),
        ]
        for number, result in enumerate(comparison.results, start=1)
    ]
    names = ["", "run", "encoder", "classifier"]
    return lay_out(names, [*_METRICS.values(), "to the\nbest", "McNemar\np", "pictures/s"], rows)


def comparison_per_class_table(comparison: Comparison, *, all_classes: bool = False) -> Table:
    """Accuracy by class of each result, numbered as in `comparison_table`."""
    columns = [result.per_class for result in comparison.results]
    numbers = ["n", *(f"{i} %" for i in range(1, len(columns) + 1))]
    return _class_rows(columns, numbers, _accuracy_row, all_classes)


def _accuracy_row(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    told = (percent(entry["accuracy"]) for entry in entries)
    return [_class_cell(entries), f"{entries[0]['n']:,}", *told]


def runs_table(entries: Sequence[RunEntry]) -> Table:
    """Show runs as `list_runs` gives them: what was measured, and top-1 by classifier."""
    rows = []
    for entry in entries:
        subject = f"{entry.dataset}:{entry.task} ({entry.split})" if entry.complete else entry.state
        top1 = [f"{classifier_title(c)} {percent(v)}" for c, v in (entry.top1 or {}).items()]
        rows.append(
            [
                entry.name,
                subject,
                entry.encoder or NOT_SCORED,
                NOT_SCORED if entry.n is None else f"{entry.n:,}",
                ", ".join(top1) or NOT_SCORED,
                f"{entry.created.astimezone():%Y-%m-%d %H:%M}",
            ]
        )
    return lay_out(["run", "data set", "encoder"], ["n", "top-1\n%", "date"], rows)


# ---------------------------------------------------------------------------------- the suite


def suite_rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Give data sets by encoders by classifiers: one flat row each, for a CSV file.

    Shares are in 0..1; None is not scored. Where several encoders saw the same pictures,
    `difference` is the paired difference of top-1 to the best of them with this classifier, which
    takes the predictions beside each record; the best itself has none.
    """
    compared = _compared_suite(records)
    return [
        _suite_row(record, entry, compared.get((position, entry["classifier"]["name"])))
        for position, record in enumerate(records)
        for entry in record["results"]
    ]


def _compared_suite(records: Sequence[Record]) -> dict[tuple[int, str], Compared]:
    """(Position of the record, classifier) → its result among those over the same pictures."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for position, record in enumerate(records):
        dataset = record["dataset"]
        same = (dataset["name"], dataset["task"], dataset["split"])
        groups.setdefault((*same, dataset.get("pictures_digest", "")), []).append(position)
    found = {}
    for positions in groups.values():
        if len(positions) > 1:
            runs = (Run(records[i], read_predictions(records[i].run)) for i in positions)
            results = iter(compare(runs, seed=records[positions[0]]["seed"]).results)
            for i in positions:
                for entry in records[i]["results"]:
                    found[i, entry["classifier"]["name"]] = next(results)
    return found


def _suite_row(
    record: Record, entry: Mapping[str, Any], compared: Compared | None
) -> dict[str, Any]:
    row = {**_about(record), "classifier": entry["classifier"]["name"]}
    for metric in _METRICS:
        row |= _flat(metric, entry["metrics"][metric])
    rest = entry.get("without_catch_all") or {"n": None, "metrics": {"top1": Measure(None)}}
    row["n_without_catch_all"] = rest["n"]
    row |= _flat("top1_without_catch_all", _values(rest["metrics"]["top1"]))
    row["best"] = None if compared is None else compared.best
    difference = compared.difference if compared else None
    row |= _flat("difference", _values(difference or Measure(None)))
    test = compared.mcnemar if compared else None
    row["mcnemar_mid_p"] = None if test is None else test.mid_p
    row["mcnemar_exact_p"] = None if test is None else test.exact
    row["pictures_per_second"] = record["timings"]["pictures_per_second"]
    row["skipped"] = len(record["skipped"])
    row["run"] = str(record.run)
    return row


def _about(record: Record) -> dict[str, Any]:
    """Cells that all rows of a record share."""
    dataset = record["dataset"]
    row: dict[str, Any] = {"dataset": dataset["name"]}
    row |= {key: dataset[key] for key in ("task", "split", "n")}
    row["encoder"] = record["encoder"]["name"]
    return row


def _values(measure: Measure | Mapping[str, Any]) -> Mapping[str, Any]:
    return measure._asdict() if isinstance(measure, Measure) else measure


def _flat(name: str, measure: Mapping[str, Any]) -> dict[str, Any]:
    return {name: measure["value"], f"{name}_low": measure["low"], f"{name}_high": measure["high"]}


def suite_table(records: Sequence[Record]) -> Table:
    """Show data sets by encoders: each classifier's top-1, and how far it is from the best."""
    rows = suite_rows(records)
    classifiers = list(dict.fromkeys(row["classifier"] for row in rows))
    numbers = ["n"]
    for classifier in classifiers:
        numbers += [f"{classifier_title(classifier)}\n%", "to the\nbest", "McNemar\np"]
    tasks: dict[str, set[str]] = {}
    for record in records:
        tasks.setdefault(record["dataset"]["name"], set()).add(record["dataset"]["task"])
    lines = []
    for record in records:
        told = {row["classifier"]: row for row in rows if row["run"] == str(record.run)}
        dataset = record["dataset"]
        subject = _subject(dataset, tasks[dataset["name"]])
        cells = [cell for name in classifiers for cell in _suite_cells(told.get(name))]
        speed = rate(record["timings"]["pictures_per_second"])
        lines.append([subject, record["encoder"]["name"], f"{dataset['n']:,}", *cells, speed])
        lines += _rest_line(record, classifiers)
    return lay_out(["data set", "encoder"], [*numbers, "pictures/s"], lines)


def _rest_line(record: Record, classifiers: Sequence[str]) -> list[list[str]]:
    """Give the line without the catch-all classes of a record's task, where it has some."""
    rests = {r["classifier"]["name"]: r.get("without_catch_all") for r in record["results"]}
    rest = next(iter(rests.values()), None)
    if rest is None:
        return []
    cells = []
    for name in classifiers:
        found = rests.get(name)
        cells += [with_interval(found and found["metrics"]["top1"]), "", ""]
    return [[f"  {_without(rest)}", "", f"{rest['n']:,}", *cells, ""]]


def _subject(dataset: Mapping[str, Any], tasks: Collection[str]) -> str:
    """Name a data set, with its task and split where they are not the only or the usual one."""
    task = f":{dataset['task']}" if len(tasks) > 1 else ""
    split = "" if dataset["split"] == "test" else f" ({dataset['split']})"
    return f"{dataset['name']}{task}{split}"


def _suite_cells(row: Mapping[str, Any] | None) -> list[str]:
    if row is None:
        return [NOT_SCORED] * 3
    top1 = Measure(row["top1"], row["top1_low"], row["top1_high"])
    behind = Measure(row["difference"], row["difference_low"], row["difference_high"])
    ahead = "best" if row["best"] else with_interval(behind, signed=True)
    return [with_interval(top1), ahead, p_value(row["mcnemar_mid_p"])]


def write_suite_csv(path: Path, records: Sequence[Record]) -> None:
    """Write `suite_rows` as CSV: UTF-8, shares in 0..1, an empty cell where nothing was scored.

    With few-shot curves their points follow, a row each, `shots` and `repeats` filled in; in the
    others those cells are empty, which says "all training pictures".
    """
    rows = suite_rows(records)
    if has_curves(records):
        rows = [{**row, **dict.fromkeys(_OF_CURVES)} for row in rows]
        blank = dict.fromkeys(rows[0])
        for record in records:
            about = {key: v for key, v in _about(record).items() if key in blank}
            rows += [{**blank, **about, **point} for point in few_shot_rows(record)]
    write_csv(path, rows)


def write_csv(
    path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None
) -> None:
    """Write rows with the same keys as CSV, atomically; None becomes an empty cell.

    `columns` are named in the first line even where there are no rows.
    """
    text = io.StringIO(newline="")
    names = columns or (list(rows[0]) if rows else [])
    writer = csv.DictWriter(text, fieldnames=names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode("utf-8"))
