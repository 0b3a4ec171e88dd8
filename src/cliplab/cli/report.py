"""`cliplab report`: the page of a run, or of several side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cliplab.cli import options, show_page


def report(
    run: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Folders, names or `latest`, of evaluations or of one transfer; several stand "
            "side by side.",
        ),
    ],
    open_: Annotated[
        bool,
        typer.Option(
            "--open", help="Show the page in the browser.", rich_help_panel=options.OUTPUT
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="File to write. Default: report.html in the folder of the run; of several, "
            "report-DATE.html beside the first.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    runs: options.Runs = Path("runs"),
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Write a page to look at: charts, the pictures that tell most, and every number as a table.

    It is one file that asks the network for nothing. Pictures come from the data set, where it is
    still as it was when it was scored; elsewhere the page says that it has none.
    """
    from cliplab.report.page import write_report

    page = write_report(run, out, root=runs, home=home)
    show_page.page(page, json=json, open_it=open_)
