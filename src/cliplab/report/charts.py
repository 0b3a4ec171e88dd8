"""The charts of a page: each a Plotly figure, the same in words, and its data as a table.

Colours are names of the style sheet (`var(--series-1)`), which the page puts in as it is light or
dark. Names that come from data are escaped by `label`, since Plotly reads some HTML in texts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cliplab.metrics.intervals import wilson
from cliplab.nouns import Record
from cliplab.report.headline import classifier_title, printable
from cliplab.report.layout import NOT_SCORED, percent, with_interval

N_SERIES = 6  # colours of the style sheet
LONGEST = 28  # characters of a label
_MARKUP = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
METRICS = {
    "top1": "top-1",
    "top5": "top-5",
    "mean_per_class": "mean per class",
    "ece": "calibration error",
}


class Chart(NamedTuple):
    """A chart, and what stands for it where it cannot be seen."""

    key: str  # unique in a page
    title: str
    told: str  # what it shows, in words
    figure: Mapping[str, Any]  # Plotly's data and layout, in plain types
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    height: int = 320  # pixels


def chart(
    key: str,
    title: str,
    told: str,
    traces: Sequence[Mapping[str, Any]],
    layout: Mapping[str, Any],
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    height: int = 320,
) -> Chart:
    """Put a chart together; the legend is left out where there is one trace alone."""
    figure = {"data": list(traces), "layout": {"showlegend": len(traces) > 1, **layout}}
    return Chart(key, title, told, figure, tuple(columns), tuple(map(tuple, rows)), height)


def label(name: str, longest: int = LONGEST) -> str:
    """Give a name as text of a chart: without markup, cut to `longest`, its direction its own."""
    shown = printable(name)
    if len(shown) > longest:
        shown = shown[: longest - 1] + "…"
    escaped = "".join(_MARKUP.get(c, c) for c in shown)
    return escaped if name.isascii() else f"\u2068{escaped}\u2069"


def series(position: int) -> str:
    """Colour of the n-th classifier or run."""
    return f"var(--series-{position % N_SERIES + 1})"


# ------------------------------------------------------------------------------- overall


def overall_chart(
    key: str, record: Record, reported: Mapping[str, float] | None = None
) -> Chart | None:
    """Classifiers side by side, each measure with its interval, and what was reported.

    `reported` maps classifiers to the reported top-1 in 0..1.
    """
    results = record["results"]
    names = [
        name
        for name in METRICS
        if name != "ece" and any(r["metrics"][name]["value"] is not None for r in results)
    ]
    places = [-float(i) for i in range(len(names))]
    traces: list[dict[str, Any]] = []
    for position, result in enumerate(results):
        title, down = classifier_title(result["classifier"]["name"]), spread(position, len(results))
        told = [
            Point(place - down, result["metrics"][name], f"{label(title)}, {METRICS[name]}")
            for place, name in zip(places, names, strict=True)
        ]
        traces.append(whiskers(title, told, position))
        if (value := (reported or {}).get(result["classifier"]["name"])) is not None:
            traces.append(_reported_mark(title, value, -down, position))
    layout = {
        "xaxis": {"title": {"text": "%"}},
        "yaxis": {"tickvals": places, "ticktext": [METRICS[name] for name in names],
                  "range": [-len(names) + 0.4, 0.6], "zeroline": False},
        "legend": LEGEND,
    }  # fmt: skip
    columns = ["classifier", *(f"{title} %" for title in METRICS.values())]
    rows = [
        [classifier_title(r["classifier"]["name"]),
         *(with_interval(r["metrics"].get(name)) for name in METRICS)]
        for r in results
    ]  # fmt: skip
    if reported:
        columns.append("reported top-1 %")
        for row, result in zip(rows, results, strict=True):
            row.append(percent(reported.get(result["classifier"]["name"])))
    told_all = "; ".join(f"{row[0]}: top-1 {row[1]} %" for row in rows)
    height = 110 + 30 * len(names) * len(results)
    return chart(key, "Side by side", f"{told_all}.", traces, layout, columns, rows, height)


class Point(NamedTuple):
    """A measure in a chart of points with intervals."""

    at: float  # on the axis of names
    measure: Mapping[str, Any]  # value, low, high, in 0..1
    told: str  # what it is of, as a label


def spread(position: int, n: int, room: float = 0.5) -> float:
    """Shift of the n-th of several points that belong to one name, around it."""
    return room * (position - (n - 1) / 2) / n


def whiskers(title: str, points: Sequence[Point], position: int) -> dict[str, Any]:
    """Give points with intervals, left to right; a measure that is not scored has no point."""
    known = [point for point in points if point.measure["value"] is not None]
    values = [100 * point.measure["value"] for point in known]
    ends = [[point.measure[end] for point in known] for end in ("low", "high")]
    below, above = (
        [0 if end is None else abs(100 * end - value) for end, value in zip(e, values, strict=True)]
        for e in ends
    )
    return {
        "type": "scatter", "mode": "markers", "name": label(title), "x": values,
        "y": [point.at for point in known],
        "error_x": {"type": "data", "symmetric": False, "thickness": 2, "width": 5,
                    "array": above, "arrayminus": below},
        "marker": {"size": 10, "color": series(position)},
        "hovertemplate": [
            f"{point.told}: {with_interval(point.measure)} %<extra></extra>" for point in known
        ],
    }  # fmt: skip


def _reported_mark(title: str, value: float, at: float, position: int) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "name": f"reported, {label(title)}",
        "x": [100 * value], "y": [at],
        "marker": {"symbol": "diamond-open", "size": 13, "color": series(position),
                   "line": {"width": 2}},
        "hovertemplate": f"reported, {label(title)}: %{{x:.1f}} %<extra></extra>",
    }  # fmt: skip


# ------------------------------------------------------------------------------- how sure


def reliability_chart(key: str, result: Mapping[str, Any], position: int) -> Chart | None:
    """How often a classifier is right when it is so sure; None: the record does not tell."""
    block = result.get("calibration")
    if not block:
        return None
    title = classifier_title(result["classifier"]["name"])
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter", "mode": "lines", "x": [0, 100], "y": [0, 100],
            "name": "as sure as right",
            "line": {"dash": "dot", "color": "var(--muted)", "width": 1.5}, "hoverinfo": "skip",
        },
        _bins(title, block["reliability"], position),
    ]  # fmt: skip
    told = f"{title}: calibration error {percent(block['ece'])} %"
    if block["reliability_tempered"]:
        at = f"at temperature {block['temperature']:.3g}"
        traces.append(_tempered_bins(at, block["reliability_tempered"]))
        told += f", {percent(block['ece_tempered'])} % {at} (fitted on {block['fitted_on']})"
    layout = {
        "xaxis": {"title": {"text": "how sure, %"}, "range": [0, 101]},
        "yaxis": {"title": {"text": "how often right, %"}, "range": [0, 104]},
        "legend": LEGEND,
    }
    rows = [
        (f"{percent(r['low'])} to {percent(r['high'])}", f"{r['n']:,}",
         percent(r["confidence"]), percent(r["accuracy"]))
        for r in block["reliability"]
    ]  # fmt: skip
    columns = ("sure, %", "pictures", "mean sureness, %", "right, %")
    return chart(key, title, told + ".", traces, layout, columns, rows, 340)


def _bins(title: str, reliability: Sequence[Mapping[str, Any]], position: int) -> dict[str, Any]:
    """Give a bar a bin that has pictures, with the 95 % interval that their number leaves."""
    bins = [row for row in reliability if row["n"]]
    n = np.array([row["n"] for row in bins], dtype=np.int64)
    right = np.array([row["accuracy"] for row in bins], dtype=np.float64)
    low, high = wilson(np.rint(right * n), n)
    return {
        "type": "bar", "name": label(title), "x": [50 * (r["low"] + r["high"]) for r in bins],
        "y": (100 * right).tolist(), "width": [92 * (r["high"] - r["low"]) for r in bins],
        "marker": {"color": series(position), "opacity": 0.75},
        "error_y": {"type": "data", "symmetric": False, "thickness": 1.5, "width": 3,
                    "color": "var(--ink)", "array": (100 * (high - right)).tolist(),
                    "arrayminus": (100 * (right - low)).tolist()},
        "hovertemplate": [
            f"{r['n']:,} pictures<br>sure {percent(r['confidence'])} %, "
            f"right {percent(r['accuracy'])} %<extra></extra>" for r in bins
        ],
    }  # fmt: skip


def _tempered_bins(name: str, reliability: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Give a point a bin, its area as the pictures in it."""
    bins = [row for row in reliability if row["n"]]
    most = max((row["n"] for row in bins), default=1)
    return {
        "type": "scatter", "mode": "markers", "name": name,
        "x": [100 * r["confidence"] for r in bins], "y": [100 * r["accuracy"] for r in bins],
        "marker": {"size": [5 + 13 * math.sqrt(r["n"] / most) for r in bins],
                   "color": "rgba(0,0,0,0)", "line": {"color": "var(--ink)", "width": 1.5}},
        "hovertemplate": [
            f"{r['n']:,} pictures<br>sure {percent(r['confidence'])} %, "
            f"right {percent(r['accuracy'])} %<extra></extra>" for r in bins
        ],
    }  # fmt: skip


# ------------------------------------------------------------------------------- few shots


def few_shot_chart(key: str, record: Record) -> Chart | None:
    """Top-1 over training pictures a class; None: the run has no curves."""
    block = record.data.get("few_shot")
    if not block:
        return None
    positions = {r["classifier"]["name"]: i for i, r in enumerate(record["results"])}
    traces: list[dict[str, Any]] = []
    rows: list[tuple[str, ...]] = []
    for curve in block["curves"]:
        title, points = classifier_title(curve["classifier"]), curve["points"]
        traces.append(_curve(title, points, positions.get(curve["classifier"], 0)))
        rows += [
            (title, str(p["shots"]), with_interval(p["top1"]), percent(p["std"])) for p in points
        ]
    shots = block["shots"]
    if (zero_shot := block["zero_shot"]) is not None:
        traces.append(
            {
                "type": "scatter", "mode": "lines", "name": "zero-shot, no picture",
                "x": [shots[0] / 1.2, shots[-1] * 1.2], "y": [100 * zero_shot] * 2,
                "line": {"dash": "dash", "color": series(positions.get("zero_shot", 0))},
                "hovertemplate": f"zero-shot {percent(zero_shot)} %<extra></extra>",
            }
        )  # fmt: skip
        rows.insert(0, ("zero-shot", "0", percent(zero_shot), ""))
    layout = {
        "xaxis": {"type": "log", "title": {"text": "training pictures a class"},
                  "tickvals": shots, "ticktext": [str(n) for n in shots]},
        "yaxis": {"title": {"text": "top-1, %"}},
        "legend": LEGEND,
    }  # fmt: skip
    told = f"Top-1 by training pictures a class, mean over {block['repeats']} draws with the 95 % "
    told += "interval of that mean. " + " ".join(_first_above(block))
    columns = ("classifier", "shots", "top-1 % [95 % of the mean]", "standard deviation")
    return chart(key, "Few shots", told, traces, layout, columns, rows, 360)


def _curve(title: str, points: Sequence[Mapping[str, Any]], position: int) -> dict[str, Any]:
    tops = [p["top1"] for p in points]
    known = [t["high"] is not None for t in tops]
    return {
        "type": "scatter", "mode": "lines+markers", "name": label(title),
        "x": [p["shots"] for p in points], "y": [100 * t["value"] for t in tops],
        "error_y": {
            "type": "data", "symmetric": False, "thickness": 1.5, "width": 4,
            "array": [100 * (t["high"] - t["value"]) if k else 0
                      for t, k in zip(tops, known, strict=True)],
            "arrayminus": [100 * (t["value"] - t["low"]) if k else 0
                           for t, k in zip(tops, known, strict=True)],
        },
        "line": {"color": series(position)}, "marker": {"size": 8},
        "hovertemplate": [
            f"{label(title)}, {p['shots']} a class: {with_interval(p['top1'])} %<extra></extra>"
            for p in points
        ],
    }  # fmt: skip


def _first_above(block: Mapping[str, Any]) -> list[str]:
    if block["zero_shot"] is None:
        return []
    told = []
    for curve in block["curves"]:
        title, first = classifier_title(curve["classifier"]), curve["beats_zero_shot_at"]
        when = "not above zero-shot" if first is None else f"above zero-shot from {first} on"
        told.append(f"{title}: {when}.")
    return told


# ------------------------------------------------------------------------------- the search


def search_chart(key: str, result: Mapping[str, Any], position: int) -> Chart | None:
    """Accuracy over the values of a setting that were tried; None: there was no such search."""
    trace = [entry for entry in result["trace"] if entry.get("accuracy") is not None]
    setting = _setting(trace)
    if setting is None or len(trace) < 2:
        return None
    title = classifier_title(result["classifier"]["name"])
    shown = {"lambda": "λ"}.get(setting, setting)
    order = sorted(trace, key=lambda entry: float(entry[setting]))
    values = [float(entry[setting]) for entry in order]
    traces = [
        {
            "type": "scatter", "mode": "lines+markers", "name": title, "x": values,
            "y": [100 * entry["accuracy"] for entry in order],
            "line": {"color": series(position)}, "marker": {"size": 7},
            "hovertemplate": [
                f"{shown} {value:.4g}: {percent(entry['accuracy'])} %<extra></extra>"
                for value, entry in zip(values, order, strict=True)
            ],
        }
    ]  # fmt: skip
    layout = {
        "xaxis": {"title": {"text": shown}, **_scale(values)},
        "yaxis": {"title": {"text": "held-out accuracy, %"}},
    }
    best = max(order, key=lambda entry: (entry["accuracy"], -(entry.get("loss") or 0)))
    told = (
        f"{title}: {len(trace)} values of {shown} were tried on training pictures held out; the "
        f"best, {float(best[setting]):.4g}, was right on {percent(best['accuracy'])} %."
    )
    keys = [k for k in trace[0] if isinstance(trace[0][k], int | float | bool)]
    rows = tuple(tuple(_number(entry.get(k)) for k in keys) for entry in trace)
    columns = tuple("λ" if k == "lambda" else k for k in keys)
    return chart(key, f"The search of the {title}", told, traces, layout, columns, rows)


def _scale(values: Sequence[float]) -> dict[str, Any]:
    """Axis of a setting, its values ascending: by decades where they span several."""
    if values[0] > 0 and values[-1] / values[0] >= 1000:
        step = max(1, round(math.log10(values[-1] / values[0]) / 6))
        return {"type": "log", "exponentformat": "power", "dtick": step}
    ticks = {"tickvals": values, "ticktext": [f"{value:g}" for value in values]}
    if len(values) > 12:
        return {}
    return {"type": "log", **ticks} if values[0] > 0 else ticks


def _setting(trace: Sequence[Mapping[str, Any]]) -> str | None:
    for name in ("lambda", "C", "penalty", "k"):
        if trace and all(isinstance(entry.get(name), int | float) for entry in trace):
            return name
    return None


def _number(value: Any) -> str:
    if value is None:
        return NOT_SCORED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or (math.isfinite(value) and value == int(value) and value < 1e6):
        return f"{int(value):,}"
    return f"{value:.4g}"
