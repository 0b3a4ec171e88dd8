"""`cliplab runs`: what was evaluated, newest first."""

from __future__ import annotations

from pathlib import Path

from cliplab.cli import options, show


def runs(runs: options.Runs = Path("runs"), json: options.Json = False) -> None:
    """List the runs, newest first; `latest` is a name for the first of them."""
    from cliplab.report.runs import list_runs

    show.run_list(list_runs(runs), runs, json=json)
