"""A matrix of records, trained on by tested on, as a table for people and as rows for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from cliplab.report.headline import classifier_title
from cliplab.report.layout import NOT_SCORED, lay_out, percent, with_interval

ZERO_SHOT = "zero-shot"


def matrix_table(domains: Sequence[str], cells: Sequence[tuple[str | None, str, Any]]) -> Table:
    """Show top-1 in percent with its interval; the last column is the mean over the others.

    Parameters
    ----------
    domains
        Names, in the order of rows and columns.
    cells
        (trained on, tested on, record) of each cell; trained on None: zero-shot.
    """
    top1 = {(train, test): _top1(record) for train, test, record in cells}
    rows = []
    for train in (*domains, None):
        others = [top1[train, test]["value"] for test in domains if test != train]
        cells_shown = [with_interval(top1[train, test]) for test in domains]
        rows.append([train or ZERO_SHOT, *cells_shown, _mean(others)])
    titles = [f"{domain}\n%" for domain in domains]
    return lay_out(["trained on"], [*titles, "mean of\nothers %"], rows)


def matrix_rows(cells: Sequence[tuple[str | None, str, Any]]) -> list[dict[str, Any]]:
    """One flat row a cell; shares are in 0..1, None is not scored."""
    rows = []
    for train, test, record in cells:
        entry = record["results"][0]
        row: dict[str, Any] = {"trained_on": train or ZERO_SHOT, "tested_on": test}
        row |= {"classifier": entry["classifier"]["name"], "encoder": record["encoder"]["name"]}
        row["n_train"] = record.data.get("trained_on", {}).get("n")
        row["n"] = record["dataset"]["n"]
        for metric in ("top1", "top5", "mean_per_class", "ece"):
            measure = entry["metrics"][metric]
            row |= {metric: measure["value"]}
            row |= {f"{metric}_{end}": measure[end] for end in ("low", "high")}
        rows.append(row | {"skipped": len(record["skipped"]), "run": str(record.run)})
    return rows


def matrix_caption(classifier: str) -> str:
    """Say what the numbers are."""
    return (
        f"top-1 of a {classifier_title(classifier)} on held-out pictures; "
        "rows: trained on, columns: tested on\n"
    )


def _top1(record: Any) -> Mapping[str, Any]:
    found: Mapping[str, Any] = record["results"][0]["metrics"]["top1"]
    return found


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return percent(sum(known) / len(known)) if known else NOT_SCORED
