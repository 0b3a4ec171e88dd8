"""The charts of an evaluation of drawings: beside real ones, how near to training, how it learned.

A record of before a curve was kept has no such chart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cliplab.nouns import Record
from cliplab.report.charts import LEGEND, Chart, Point, chart, label, series, spread, whiskers
from cliplab.report.layout import with_interval

SHARES = {
    "top1": "recognised, top-1",
    "top5": "recognised, top-5",
    "taught": "taught by them, top-1",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
}
SIDES = (("drawn", "drawings"), ("real", "real, held out"))


def drawings_charts(record: Record) -> tuple[Chart, ...]:
    """Give those that stand at the top of the page."""
    found = (shares_chart(record), losses_chart(record))
    return tuple(one for one in found if one is not None)


def shares_chart(record: Record) -> Chart:
    """Shares of drawings beside those of real held-out pictures."""
    overall = record["overall"]
    traces = []
    for position, (side, title) in enumerate(SIDES):
        points = [
            Point(-i - spread(position, 2), overall[key][side], f"{label(title)}, {name}")
            for i, (key, name) in enumerate(SHARES.items())
        ]
        traces.append(whiskers(title, points, position))
    layout = {
        "xaxis": {"title": {"text": "%"}},
        "yaxis": {"tickvals": [-i for i in range(len(SHARES))], "zeroline": False,
                  "ticktext": list(SHARES.values()), "range": [-len(SHARES) + 0.4, 0.6]},
        "legend": LEGEND,
    }  # fmt: skip
    table = [
        (name, *(with_interval(overall[key][side]) for side, _ in SIDES))
        for key, name in SHARES.items()
    ]
    told = "Drawings beside as many real held-out pictures, each with its 95 % interval."
    columns = ("measure", "drawings %", "real, held out %")
    return chart("shares", "Beside real pictures", told, traces, layout, columns, table, 380)


def losses_chart(record: Record) -> Chart | None:
    """How the prior learned, epoch by epoch; None: it is not known."""
    losses: Sequence[float] = record["drawings"].get("losses", ())
    if len(losses) < 2:
        return None
    epochs = list(range(1, len(losses) + 1))
    trace = {
        **_line("training", 0),
        "x": epochs,
        "y": list(losses),
        "hovertemplate": "epoch %{x}: %{y:.3f}<extra></extra>",
    }
    layout = {
        "xaxis": {"title": {"text": "epoch"}, "dtick": max(1, len(losses) // 10)},
        "yaxis": {"title": {"text": "loss, nats a token"}},
    }
    told = f"The loss of the prior's training fell from {losses[0]:.2f} to {losses[-1]:.2f}."
    table = [(str(epoch), f"{loss:.3f}") for epoch, loss in zip(epochs, losses, strict=True)]
    return chart("losses", "How it learned", told, [trace], layout, ("epoch", "loss"), table)


def near_charts(record: Record) -> tuple[Chart, ...]:
    """How near drawings come to training pictures, and held-out pictures do: in all quantiles."""
    curve = record["copies"].get("curve")
    if curve is None:
        return ()
    return tuple(
        _near_chart(kind, curve["shares"], curve[kind], axis)
        for kind, axis in (
            ("pixels", "distance in pixels, % of a grey"),
            ("features", "distance in features"),
        )
    )


def _near_chart(
    kind: str, shares: Sequence[float], sides: Mapping[str, Sequence[float]], axis: str
) -> Chart:
    scale, digits = (100, ".1f") if kind == "pixels" else (1, ".2f")
    percents = [100 * share for share in shares]
    traces = [
        {
            **_line(title, position),
            "x": [scale * value for value in sides[side]],
            "y": percents,
            "hovertemplate": f"%{{y:.0f}} % of {label(title)} within %{{x:{digits}}}"
            "<extra></extra>",
        }
        for position, (side, title) in enumerate(SIDES)
    ]
    layout = {
        "xaxis": {"title": {"text": axis}},
        "yaxis": {"title": {"text": "share, %"}},
        "legend": LEGEND,
    }
    table = [
        (f"{share:.0f} %", *(f"{scale * sides[side][i]:{digits}}" for side, _ in SIDES))
        for i, share in enumerate(percents)
    ]
    told = (
        f"Half of the drawings lie within {scale * _middle(shares, sides['drawn']):{digits}} of a "
        f"training picture in {kind}, half of the held-out pictures within "
        f"{scale * _middle(shares, sides['real']):{digits}}. Copies would lift the left end of "
        "the drawings' curve over the other."
    )
    columns = ("share of pictures", "drawings within", "held out within")
    title = f"Nearest training picture, {kind}"
    return chart(f"near-{kind}", title, told, traces, layout, columns, table)


def _middle(shares: Sequence[float], values: Sequence[float]) -> float:
    return values[min(range(len(shares)), key=lambda i: abs(shares[i] - 0.5))]


def _line(title: str, position: int) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": label(title),
        "line": {"color": series(position), "width": 2},
        "marker": {"size": 7, "color": series(position)},
    }
