"""What a page shows of a run of retrieval: measures, landmarks, and what each query found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cliplab.nouns import Dataset, Record
from cliplab.report.charts import Chart, Point, chart, label, whiskers
from cliplab.report.layout import percent, with_interval
from cliplab.report.shelf import Shelf

QUERIES, FIRST = 60, 6  # queries shown, the worst first, and pictures found by each


class Asked(NamedTuple):
    """A query and what it found first; pictures are places on the shelf, None: not shown."""

    name: str
    precision: str  # percent
    wanted: str  # how many pictures were wanted, in words
    id: str
    picture: int | None
    first: tuple[tuple[str, int | None], ...]  # id and picture


class FoundView(NamedTuple):
    """A run of retrieval as the page shows it."""

    measures: tuple[tuple[str, str], ...]  # name and value with its interval, percent
    charts: tuple[Chart, ...]
    queries: tuple[Asked, ...]
    n_queries: int


def found_view(key: str, record: Record, data: Dataset | None, shelf: Shelf) -> FoundView | None:
    """Make a run of retrieval ready, its pictures put on the shelf; None: it is none."""
    block = record.data.get("retrieval")
    if block is None:
        return None
    queries = sorted(block["queries"], key=lambda q: (q["average_precision"] or 0.0, q["name"]))
    shown = queries[:QUERIES]
    if data is not None:
        shelf.fill(data, [id_ for q in shown for id_ in (q["id"], *q["first"][:FIRST])], edge=132)
    digest = record["dataset"]["digest"]
    measures = [(name.replace("_", " "), with_interval(m)) for name, m in block["metrics"].items()]
    charts = [_metrics_chart(key, block["metrics"])]
    if block["groups"]:
        charts.append(_groups_chart(key, block["groups"]))
    asked = tuple(_asked(query, shelf, digest) for query in shown)
    return FoundView(tuple(measures), tuple(charts), asked, len(queries))


def _asked(query: Mapping[str, Any], shelf: Shelf, digest: str) -> Asked:
    missing = f", {query['n_missing']} of them missing" if query["n_missing"] else ""
    first = tuple((id_, shelf.place(digest, id_)) for id_ in query["first"][:FIRST])
    return Asked(
        query["name"],
        percent(query["average_precision"]),
        f"{query['n_wanted']} wanted{missing}",
        query["id"],
        shelf.place(digest, query["id"]),
        first,
    )


def _metrics_chart(key: str, metrics: Mapping[str, Mapping[str, Any]]) -> Chart:
    names = [name.replace("_", " ") for name in metrics]
    return _points(f"{key}-found", "Measures", names, list(metrics.values()), ("measure", "%"), 0)


def _groups_chart(key: str, groups: Sequence[Mapping[str, Any]]) -> Chart:
    names = [f"{group['name']} (n {group['n']})" for group in groups]
    columns = ("landmark", "mAP %")
    return _points(f"{key}-groups", "Mean average precision by landmark", names, groups, columns, 1)


def _points(
    key: str,
    title: str,
    names: Sequence[str],
    measures: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    position: int,
) -> Chart:
    points = [Point(-i, m, label(n)) for i, (n, m) in enumerate(zip(names, measures, strict=True))]
    layout = {
        "xaxis": {"title": {"text": "%"}},
        "yaxis": {"tickvals": [point.at for point in points], "zeroline": False,
                  "ticktext": [label(name) for name in names],
                  "range": [-len(names) + 0.4, 0.6]},
    }  # fmt: skip
    rows = [(n, with_interval(m)) for n, m in zip(names, measures, strict=True)]
    told = "; ".join(f"{name}: {value} %" for name, value in rows)
    traces = [whiskers(title, points, position)]
    return chart(key, title, f"{told}.", traces, layout, columns, rows, 90 + 34 * len(names))
