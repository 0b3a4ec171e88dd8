"""`report.html` of a transfer: the matrix, what is lost on the way, and every cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cliplab.nouns import Record
from cliplab.report.charts import LEGEND, Chart, Point, chart, label, spread, whiskers
from cliplab.report.headline import classifier_title
from cliplab.report.layout import percent, with_interval
from cliplab.report.matrix import ZERO_SHOT
from cliplab.report.record import read_record
from cliplab.report.rendering import render
from cliplab.report.run_view import short_name
from cliplab.runtime.errors import DataError
from cliplab.runtime.storage import read_json, write_bytes

PLAN = "transfer.json"  # in the folder of a transfer
FORMAT_VERSION = 1
TINTS = [[0, "var(--heat-0)"], [1, "var(--heat-soft)"]]  # light enough for numbers upon them


class TransferCell(NamedTuple):
    """Trained on one domain (None: zero-shot), tested on one."""

    train: str | None
    test: str
    record: Record

    @property
    def top1(self) -> dict[str, Any]:
        """Value and interval, in 0..1."""
        found: dict[str, Any] = self.record["results"][0]["metrics"]["top1"]
        return found


def read_transfer(folder: Path) -> tuple[list[str], list[TransferCell]]:
    """Read the domains of a transfer and its cells, row by row.

    Raises
    ------
    DataError
        Cells are missing: the transfer did not finish.
    """
    plan = read_json(folder / PLAN, FORMAT_VERSION)
    again = "Run the same `cliplab transfer` again: it does what is missing."
    if "cells" not in plan:
        raise DataError(f"{folder / PLAN} does not name its cells. {again}")
    missing = [run for _train, _test, run in plan["cells"] if not (folder / run).is_dir()]
    if missing:
        raise DataError(f"{folder} lacks {len(missing)} cells, such as {missing[0]}. {again}")
    cells = [TransferCell(a, b, read_record(folder / run)) for a, b, run in plan["cells"]]
    return plan["domains"], cells


def write_transfer_page(folder: Path, out: Path | None = None) -> Path:
    """Write the page of a transfer that is finished; give its path.

    Parameters
    ----------
    folder
        Of the transfer, with its plan and the runs of its cells.
    out
        File to write. Default: `report.html` in the folder.
    """
    domains, cells = read_transfer(folder)
    classifier = classifier_title(cells[0].record["results"][0]["classifier"]["name"])
    charts = (_matrix(domains, cells, classifier), _lost(domains, cells, classifier))
    record = cells[0].record
    columns = ("trained on", "tested on", "n trained on", "n", "top-1 %", "top-5 %",
               "mean per class %", "ECE %")  # fmt: skip
    context = {
        "title": f"Transfer of {', '.join(domains[:6])}",
        "domains": domains,
        "facts": (
            f"{classifier} through {short_name(record['encoder']['name'])}",
            f"{len(record['results'][0]['per_class'])} classes",
            f"{sum(c.record['dataset']['n'] for c in cells[: len(domains)]):,} test pictures",
        ),
        "charts": charts,
        "columns": columns,
        "rows": [_line(cell) for cell in cells],
        "record": record,
        "versions": tuple(record["versions"].items()),
    }
    data = {"runs": {}, "charts": {one.key: one.figure for one in charts}}
    path = out or folder / "report.html"
    write_bytes(path, render("transfer.html.jinja", context, data, []))
    return path


def _line(cell: TransferCell) -> tuple[str, ...]:
    record = cell.record
    taught = record.data.get("trained_on")
    metrics = record["results"][0]["metrics"]
    return (
        cell.train or ZERO_SHOT, cell.test, f"{taught['n']:,}" if taught else "–",
        f"{record['dataset']['n']:,}",
        *(with_interval(metrics[name]) for name in ("top1", "top5", "mean_per_class", "ece")),
    )  # fmt: skip


def _matrix(domains: Sequence[str], cells: Sequence[TransferCell], classifier: str) -> Chart:
    top1 = {(cell.train, cell.test): cell.top1 for cell in cells}
    rows = [*domains, None]
    shares = [[top1[row, column]["value"] for column in domains] for row in rows]
    names = [label(name, 20) for name in domains]
    trace = {
        "type": "heatmap",
        "z": [[None if share is None else 100 * share for share in row] for row in shares],
        "text": [[percent(share) for share in row] for row in shares],
        "texttemplate": "%{text}", "textfont": {"color": "var(--ink)"},
        "colorscale": TINTS, "xgap": 2, "ygap": 2,
        "colorbar": {"title": {"text": "top-1, %"}, "thickness": 10, "len": 0.7,
                     "outlinewidth": 0},
        "hoverinfo": "text", "hovertext": [
            [f"{label(row or ZERO_SHOT)} → {label(column)}<br>"
             f"{with_interval(top1[row, column])} %" for column in domains]
            for row in rows
        ],
    }  # fmt: skip
    end, down = len(domains) - 0.5, len(rows) - 0.5
    layout = {
        "xaxis": {"title": {"text": "tested on", "standoff": 8}, "tickvals": _places(names),
                  "ticktext": names, "showgrid": False, "zeroline": False, "range": [-0.5, end]},
        "yaxis": {"title": {"text": "trained on", "standoff": 8}, "range": [down, -0.5],
                  "tickvals": _places(rows), "ticktext": [*names, ZERO_SHOT],
                  "showgrid": False, "zeroline": False},
    }  # fmt: skip
    table = [
        (row or ZERO_SHOT, *(with_interval(top1[row, column]) for column in domains))
        for row in rows
    ]
    told = (
        f"Top-1 of a {classifier} trained on the domain of the row and tested on that of the "
        "column; the last row is zero-shot, which is trained on none."
    )
    columns = ("trained on", *(f"{domain} %" for domain in domains))
    height = 150 + 56 * len(rows)
    return chart("matrix", "The matrix", told, [trace], layout, columns, table, height)


def _places(names: Sequence[object]) -> list[int]:
    return list(range(len(names)))


def _lost(domains: Sequence[str], cells: Sequence[TransferCell], classifier: str) -> Chart:
    """Show for each domain tested: trained on itself, on each other, and zero-shot."""
    kinds = ("trained on itself", "trained on another", ZERO_SHOT)
    traces = []
    for position, kind in enumerate(kinds):
        points = [
            Point(-domains.index(c.test) - spread(position, 3), c.top1,
                  f"{label(c.train or ZERO_SHOT)} → {label(c.test)}")
            for c in cells
            if kind == _kind(c)
        ]  # fmt: skip
        traces.append(whiskers(kind, points, position))
    layout = {
        "xaxis": {"title": {"text": "top-1, %"}},
        "yaxis": {"range": [-len(domains) + 0.4, 0.6], "zeroline": False,
                  "tickvals": [-i for i in range(len(domains))],
                  "ticktext": [label(name, 20) for name in domains]},
        "legend": LEGEND,
    }  # fmt: skip
    table = []
    for domain in domains:
        own = {kind: [c for c in cells if c.test == domain and _kind(c) == kind] for kind in kinds}
        others = [c.top1["value"] for c in own[kinds[1]] if c.top1["value"] is not None]
        mean = percent(sum(others) / len(others)) if others else percent(None)
        ends = [with_interval(own[kind][0].top1) for kind in (kinds[0], ZERO_SHOT)]
        table.append((domain, ends[0], mean, ends[1]))
    told = f"What a {classifier} loses on a domain that it was not trained on."
    columns = ("tested on", "trained on itself %", "mean of the others %", "zero-shot %")
    height = 110 + 60 * len(domains)
    return chart("lost", "By domain tested", told, traces, layout, columns, table, height)


def _kind(cell: TransferCell) -> str:
    if cell.train is None:
        return ZERO_SHOT
    return "trained on itself" if cell.train == cell.test else "trained on another"
