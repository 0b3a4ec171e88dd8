"""Several runs side by side: every result in one chart and one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cliplab.nouns import Measure, Record
from cliplab.report.charts import LEGEND, Chart, Point, chart, label, spread, whiskers
from cliplab.report.found import retrieval_rows
from cliplab.report.headline import classifier_title
from cliplab.report.layout import p_value, rate, with_interval
from cliplab.report.run_view import short_name
from cliplab.report.tables import suite_rows
from cliplab.runtime.errors import UsageError


class Overview(NamedTuple):
    """What stands above the runs."""

    charts: tuple[Chart, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    n_names: int  # columns that are names, not numbers


def overview_of(records: Sequence[Record]) -> Overview:
    """Put runs side by side: accuracies with intervals, and differences on the same pictures.

    Raises
    ------
    UsageError
        Runs of classifiers and runs of retrieval together.
    """
    found = ["retrieval" in record.data for record in records]
    if any(found):
        if not all(found):
            raise UsageError("Retrieval has a page of its own: show runs of :retrieval apart.")
        return _retrieval(records)
    rows = suite_rows(records)
    columns = (
        "data set", "encoder", "classifier", "n", "top-1 %", "to the best", "McNemar p",
        "top-5 %", "mean per class %", "ECE %", "pictures/s",
    )  # fmt: skip
    table = tuple(_line(row) for row in rows)
    return Overview((_chart(rows, table, columns),), columns, table, 3)


def _line(row: Mapping[str, Any]) -> tuple[str, ...]:
    ahead = "best" if row["best"] else with_interval(_measure(row, "difference"), signed=True)
    return (
        _subject(row), short_name(row["encoder"]), classifier_title(row["classifier"]),
        f"{row['n']:,}", with_interval(_measure(row, "top1")), ahead, p_value(row["mcnemar_mid_p"]),
        *(with_interval(_measure(row, name)) for name in ("top5", "mean_per_class", "ece")),
        rate(row["pictures_per_second"]),
    )  # fmt: skip


def _subject(row: Mapping[str, Any]) -> str:
    split = "" if row["split"] == "test" else f" ({row['split']})"
    return f"{short_name(row['dataset'])}:{row['task']}{split}"


def _measure(row: Mapping[str, Any], name: str) -> Measure:
    return Measure(row[name], row[f"{name}_low"], row[f"{name}_high"])


def _chart(
    rows: Sequence[Mapping[str, Any]], table: Sequence[Sequence[str]], columns: Sequence[str]
) -> Chart:
    classifiers = list(dict.fromkeys(row["classifier"] for row in rows))
    places = {run: -i for i, run in enumerate(dict.fromkeys(row["run"] for row in rows))}
    names = {
        row["run"]: f"{label(_subject(row))} · {label(short_name(row['encoder']))}" for row in rows
    }
    traces = []
    for position, classifier in enumerate(classifiers):
        down = spread(position, len(classifiers))
        points = [
            Point(
                places[row["run"]] - down,
                _measure(row, "top1")._asdict(),
                f"{names[row['run']]}<br>{label(classifier_title(classifier))}",
            )
            for row in rows
            if row["classifier"] == classifier
        ]
        traces.append(whiskers(classifier_title(classifier), points, position))
    layout = {
        "xaxis": {"title": {"text": "top-1, %"}},
        "yaxis": {"zeroline": False, "range": [-len(places) + 0.4, 0.6],
                  "tickvals": list(places.values()), "ticktext": list(names.values())},
        "legend": LEGEND,
    }  # fmt: skip
    told = "; ".join(f"{row[0]} by {row[1]}, {row[2]}: {row[4]} %" for row in table[:40])
    height = 110 + len(places) * (24 + 14 * len(classifiers))
    shown = [row[:5] for row in table]
    return chart("overview", "Top-1", told, traces, layout, columns[:5], shown, height)


def _retrieval(records: Sequence[Record]) -> Overview:
    rows = retrieval_rows(records)
    measures = [key.removesuffix("_low") for key in rows[0] if key.endswith("_low")]
    columns = ("data set", "encoder", "pictures", *(f"{m} %" for m in measures), "pictures/s")
    table = tuple(
        (short_name(row["dataset"]), short_name(row["encoder"]), f"{row['n']:,}",
         *(with_interval(_measure(row, m)) for m in measures), rate(row["pictures_per_second"]))
        for row in rows
    )  # fmt: skip
    return Overview((), columns, table, 2)
