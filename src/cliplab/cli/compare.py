"""`cliplab compare`: runs side by side, with the difference that the same pictures show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cliplab.cli import options, show


def compare(
    run: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Folders, names or `latest`. Default: all runs over the newest run's test set.",
        ),
    ] = None,
    runs: options.Runs = Path("runs"),
    seed: options.Seed = 0,
    all_classes: options.AllClasses = False,
    json: options.Json = False,
) -> None:
    """Put runs side by side: accuracies, and the paired difference to the best with its interval.

    Runs over different test sets are refused, with the reason.
    """
    from cliplab.report.compare import compare_runs

    show.comparison(
        compare_runs(run or (), root=runs, seed=seed), json=json, all_classes=all_classes
    )
