"""Reported results and ours as tables for people, and as rows for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table

from cliplab.report.headline import classifier_title
from cliplab.report.layout import NOT_SCORED, lay_out, with_interval
from cliplab.report.reported import CLASSIFIERS, Beside, Reproduced

LEGEND = (
    "Accuracies in percent. ≈ the reported value may lie in our 95 % interval: the difference may "
    "be noise."
)


def reported_table(
    numbers: Sequence[Beside],
    title: str = "class",
    benchmark: Mapping[str, float | None] | None = None,
) -> Table:
    """Lay out reported numbers beside ours: the report's rows under its names, in its order.

    Parameters
    ----------
    numbers
        Of one reported table.
    title
        What a row is.
    benchmark
        Row → a third reported number, which cliplab does not measure; None: there is none.
    """
    classifiers = [c for c in CLASSIFIERS if any(number.classifier == c for number in numbers)]
    columns = ["n"] if benchmark is None else ["n", "bench-\nmark"]
    for classifier in classifiers:
        columns += ["\nreport", f"{classifier_title(classifier)}\nhere", "\ndiffers"]
    rows = []
    for name in dict.fromkeys(number.reported_as for number in numbers):
        found = {number.classifier: number for number in numbers if number.reported_as == name}
        first = next(iter(found.values()))
        cells = [name, NOT_SCORED if first.n is None else f"{first.n:,}"]
        cells += [] if benchmark is None else [_as_reported(benchmark.get(name))]
        for classifier in classifiers:
            cells += _cells(found.get(classifier))
        rows.append(cells)
    return lay_out([title], columns, rows)


def reproduced_tables(parts: Sequence[Reproduced]) -> list[tuple[str, Table]]:
    """Give a title and a table for each table of the report; DomainNet's has a row a domain."""
    tables = []
    for key in dict.fromkeys(part.table for part in parts):
        group = [part for part in parts if part.table == key]
        numbers = [number for part in group for number in part.numbers]
        benchmarks = {part.dataset.rpartition("/")[2]: part.benchmark for part in group}
        by_domain = any(value is not None for value in benchmarks.values())
        title = "domain" if by_domain else "class"
        table = reported_table(numbers, title, benchmarks if by_domain else None)
        tables.append((key if by_domain else group[0].dataset, table))
    return tables


def _cells(number: Beside | None) -> list[str]:
    if number is None:
        return [NOT_SCORED] * 3
    if number.difference is None:
        return [_as_reported(number.reported), NOT_SCORED, NOT_SCORED]
    told = f"{100 * number.difference:+.1f}"
    differs = f"{told} ≈" if number.within else f"{told}  "
    return [_as_reported(number.reported), with_interval(number.ours), differs]


def _as_reported(value: float | None) -> str:
    """Give a reported share in percent with its digits in the report: 8, 58.6, 43.37."""
    return NOT_SCORED if value is None else f"{100 * value:.2f}".rstrip("0").rstrip(".")


def reported_row(number: Beside, **about: Any) -> dict[str, Any]:
    """Give a reported number beside ours as a flat row, for a CSV file; shares in 0..1."""
    return {
        **about,
        "row": number.name,
        "reported_as": number.reported_as,
        "classifier": number.classifier,
        "n": number.n,
        "reported": number.reported,
        "here": number.ours.value,
        "here_low": number.ours.low,
        "here_high": number.ours.high,
        "difference": number.difference,
        "within": number.within,
    }


def reported_rows(numbers: Iterable[Beside], **about: Any) -> list[dict[str, Any]]:
    """Give several as rows, with the same `about` in each."""
    return [reported_row(number, **about) for number in numbers]
