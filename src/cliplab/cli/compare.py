"""`cliplab compare`: runs side by side, or beside the reported results."""

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
            help="Folders, names or `latest`. Default: all runs over the newest run's test set; "
            "with --reported, the newest run.",
        ),
    ] = None,
    reported: Annotated[
        bool,
        typer.Option(
            "--reported",
            help="Set each run beside the reported results of its data set and task instead.",
        ),
    ] = False,
    runs: options.Runs = Path("runs"),
    seed: options.Seed = 0,
    all_classes: options.AllClasses = False,
    json: options.Json = False,
) -> None:
    """Put runs side by side: accuracies, and the paired difference to the best with its interval.

    Runs over different test sets are refused, with the reason. With `--reported`, class by class:
    the reported accuracy, ours with its interval, and whether the difference may be noise.
    """
    if reported:
        from cliplab.report.record import read_record
        from cliplab.report.reported import beside_reported
        from cliplab.report.runs import find_run

        records = [read_record(find_run(name, runs)) for name in run or ("latest",)]
        show.beside_reported([beside_reported(record) for record in records], json=json)
        return
    from cliplab.report.compare import compare_runs

    show.comparison(
        compare_runs(run or (), root=runs, seed=seed), json=json, all_classes=all_classes
    )
