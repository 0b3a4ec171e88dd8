"""How a table is laid out and printed: on a terminal, and as plain text that keeps every digit.

Shares are percent with one decimal, "97.2 [95.1, 98.4]" with its interval; "–" is not scored.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import IO, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from cliplab.nouns import Measure
from cliplab.report.headline import printable

NOT_SCORED = "–"


def percent(value: float | None) -> str:
    """Give a share in 0..1 as percent with one decimal; "–": not scored."""
    return NOT_SCORED if value is None else f"{100 * value:.1f}"


def with_interval(measure: Measure | Mapping[str, Any] | None, *, signed: bool = False) -> str:
    """Give a measure as "97.2 [95.1, 98.4]", in percent; `signed`: "-1.3 [-2.0, -0.6]" or "+…"."""
    if measure is None:
        return NOT_SCORED
    values = measure if isinstance(measure, Mapping) else measure._asdict()
    value, low, high = (values[key] for key in ("value", "low", "high"))
    if value is None:
        return NOT_SCORED
    sign = "+" if signed else ""
    told = [f"{100 * number:{sign}.1f}" for number in (value, low, high) if number is not None]
    told = ["0.0" if number in ("-0.0", "+0.0") else number for number in told]
    return told[0] if len(told) < 3 else f"{told[0]} [{told[1]}, {told[2]}]"


def p_value(p: float | None) -> str:
    """Give a p-value with three decimals, "<0.001" below; "–": nothing was tested."""
    if p is None:
        return NOT_SCORED
    return "<0.001" if p < 0.0005 else f"{p:.3f}"


def rate(pictures_per_second: float | None) -> str:
    """Pictures a second; "–": none was encoded, since all were at hand."""
    return NOT_SCORED if pictures_per_second is None else f"{pictures_per_second:,.1f}"


def lay_out(names: Sequence[str], numbers: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Lay out rows whose first cells are names, which fold, and the others numbers, which do not.

    The title of a column of numbers may have several lines.
    Cells are Text, never markup: a class called "[red]x" is printed as it is called.
    """
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for position, title in enumerate([*names, *numbers]):
        if position < len(names):
            table.add_column(Text(printable(title)), overflow="fold")
        else:
            lines = [printable(part) for part in title.split("\n")]
            width = max(map(len, [*lines, *(row[position] for row in rows)]))
            table.add_column(Text("\n".join(lines)), justify="right", no_wrap=True, min_width=width)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def print_tables(
    *tables: RenderableType, file: IO[str] | None = None, width: int | None = None
) -> None:
    """Print tables one below the other.

    On a terminal names fold to its width; elsewhere lines are as long as they need be (at least 80
    columns), so that a file or a pipe gets every character. Numbers are whole in either.

    Parameters
    ----------
    file
        Where to; default: stdout.
    width
        Columns of the terminal; default: as the terminal says.
    """
    console = Console(file=file, width=width, highlight=False)
    terminal = console.width
    for table in tables:
        need = Measurement.get(console, console.options.update(max_width=10_000), table)
        room = terminal if console.is_terminal else max(80, need.maximum)
        console.width = max(room, need.minimum)
        console.print(table, crop=False)


def render(*tables: RenderableType) -> str:
    """Give tables as plain text, lines without trailing blanks."""
    stream = io.StringIO()
    print_tables(*tables, file=stream)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"
