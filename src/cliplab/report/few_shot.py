"""Few-shot curves as a table for people, and as rows for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from cliplab.nouns import Record
from cliplab.report.headline import classifier_title
from cliplab.report.layout import lay_out, percent


def few_shot_table(record: Record) -> Table:
    """Top-1 in percent by shots: mean ± standard deviation over the draws, [95 % of the mean].

    The first row is zero-shot, which takes no picture; the last, all training pictures.
    """
    block = record["few_shot"]
    curves = block["curves"]
    names = [curve["classifier"] for curve in curves]
    rows = []
    if block["zero_shot"] is not None:
        rows.append(["0, zero-shot", *[percent(block["zero_shot"])] * len(names)])
    for position, shots in enumerate(block["shots"]):
        rows.append([str(shots), *(_cell(curve["points"][position]) for curve in curves)])
    whole = {r["classifier"]["name"]: r["metrics"]["top1"]["value"] for r in record["results"]}
    rows.append(["all", *(percent(whole.get(name)) for name in names)])
    return lay_out(["shots"], [f"{classifier_title(name)}\n%" for name in names], rows)


def _cell(point: Mapping[str, Any]) -> str:
    top1 = point["top1"]
    told = percent(top1["value"])
    if point["std"] is None:
        return told
    ends = ", ".join(f"{100 * top1[end]:.1f}" for end in ("low", "high"))
    return f"{told} ± {100 * point['std']:.1f} [{ends}]"


def few_shot_notes(record: Record) -> list[str]:
    """Say over how many draws, and where each classifier first beats zero-shot."""
    block = record["few_shot"]
    notes = [f"mean ± standard deviation over {block['repeats']} draws, [95 % of the mean]"]
    if block["zero_shot"] is None:
        return notes
    for curve in block["curves"]:
        title, first = classifier_title(curve["classifier"]), curve["beats_zero_shot_at"]
        if first is None:
            notes.append(f"{title}: not above zero-shot with up to {block['shots'][-1]} shots")
        else:
            notes.append(f"{title}: above zero-shot from {first} shot{'s' if first > 1 else ''}")
    return notes


def few_shot_rows(record: Record) -> list[dict[str, Any]]:
    """Give a flat row a classifier and number of shots, for a CSV file; shares in 0..1."""
    block = record.data.get("few_shot") or {"curves": ()}
    rows = []
    for curve in block["curves"]:
        for point in curve["points"]:
            top1 = point["top1"]
            rows.append(
                {
                    "classifier": curve["classifier"],
                    "shots": point["shots"],
                    "repeats": block["repeats"],
                    "top1": top1["value"],
                    "top1_low": top1["low"],
                    "top1_high": top1["high"],
                    "top1_std": point["std"],
                }
            )
    return rows


def has_curves(records: Sequence[Record]) -> bool:
    """Tell whether any of the records holds few-shot curves."""
    return any(record.data.get("few_shot") for record in records)
