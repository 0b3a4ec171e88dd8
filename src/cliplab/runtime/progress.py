"""Progress on stderr: rate and remaining time; silent when stderr is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Advance(Protocol):
    """Told how many more items are done, and a word on how it goes ("epoch 3/30, loss 1.2")."""

    def __call__(self, count: int, note: str = "", /) -> None:
        """Count `count` items more; `note` stands beside the rate."""


def say(message: str) -> None:
    """Print one line to stderr, where it never mixes with a command's result."""
    print(message, file=sys.stderr, flush=True)


@contextmanager
def progress(label: str, total: int, *, unit: str = "pictures", done: int = 0) -> Iterator[Advance]:
    """Show a bar while the block runs; the block calls what it is given with each step's count.

    `done` items of `total` were finished before (a resumed run): shown, not counted in the rate.
    With the unit "bytes", sizes and rate are given in MB and GB.
    """
    if total <= 0 or not sys.stderr.isatty():
        yield lambda _count, _note="", /: None
        return
    from rich import progress as shown_as
    from rich.console import Console

    count = shown_as.DownloadColumn() if unit == "bytes" else shown_as.MofNCompleteColumn()
    rate = shown_as.TextColumn("{task.fields[rate]}")
    label_column, bar = shown_as.TextColumn(label), shown_as.BarColumn()
    columns = (label_column, bar, count, rate, shown_as.TimeRemainingColumn())
    with shown_as.Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(label, total=total, completed=done, rate="")

        def advance(count: int, note: str = "", /) -> None:
            speed = bars.tasks[0].speed
            shown = (_rate(speed, unit) if speed else "", note)
            bars.update(task, advance=count, rate="  ".join(filter(None, shown)))

        yield advance


def _rate(speed: float, unit: str) -> str:
    return f"{speed / 1e6:,.1f} MB/s" if unit == "bytes" else f"{speed:,.1f} {unit}/s"
