"""Records of retrieval as tables for people, and as rows for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from cliplab.nouns import Record
from cliplab.report.layout import lay_out, rate, with_interval


def retrieval_table(records: Sequence[Record]) -> Table:
    """Show a row a data set and encoder: mean average precision, or the recalls, in percent."""
    names = list(dict.fromkeys(n for record in records for n in record["retrieval"]["metrics"]))
    rows = [
        [
            record["dataset"]["name"],
            record["encoder"]["name"],
            f"{record['dataset']['n']:,}",
            *(with_interval(record["retrieval"]["metrics"].get(name)) for name in names),
            rate(record["timings"]["pictures_per_second"]),
        ]
        for record in records
    ]
    titles = [_title(name) for name in names]
    return lay_out(["data set", "encoder"], ["pictures", *titles, "pictures/s"], rows)


def landmarks_table(record: Record) -> Table:
    """Show the mean average precision of each landmark's queries."""
    rows = [
        [group["name"], str(group["n"]), with_interval(group)]
        for group in record["retrieval"]["groups"]
    ]
    return lay_out(["landmark"], ["queries", "mAP %"], rows)


def retrieval_rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Give data sets by encoders, one flat row each, for a CSV file; shares are in 0..1."""
    names = list(dict.fromkeys(n for record in records for n in record["retrieval"]["metrics"]))
    return [_row(record, names) for record in records]


def _row(record: Record, names: Sequence[str]) -> dict[str, Any]:
    dataset, metrics = record["dataset"], record["retrieval"]["metrics"]
    row: dict[str, Any] = {"dataset": dataset["name"], "task": dataset["task"]}
    row |= {"split": dataset["split"], "n": dataset["n"], "encoder": record["encoder"]["name"]}
    for name in names:
        measure = metrics.get(name, {"value": None, "low": None, "high": None})
        row |= {name: measure["value"]}
        row |= {f"{name}_{end}": measure[end] for end in ("low", "high")}
    row["pictures_per_second"] = record["timings"]["pictures_per_second"]
    return row | {"skipped": len(record["skipped"]), "run": str(record.run)}


def _title(name: str) -> str:
    """`image_retrieval_recall@5` over three lines, as a column is narrow."""
    kind, at, k = name.partition("@")
    return f"{kind.removesuffix('_retrieval_recall')}\nrecall\n@{k} %" if at else f"{name}\n%"
