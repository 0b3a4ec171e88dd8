"""Options of `cliplab audit` alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cliplab.cli import options

Threshold = Annotated[
    float,
    typer.Option(
        "--threshold",
        help="Cosine from which two pictures count as near-duplicates, the set's mean taken off.",
        rich_help_panel=options.PROTOCOL,
    ),
]
Features = Annotated[
    str,
    typer.Option(
        "--features",
        help="What the probe that judges labels reads: pre (before the projection) or post.",
        rich_help_panel=options.PROTOCOL,
    ),
]
Review = Annotated[
    Path,
    typer.Option(
        "--csv",
        help="Where the list to review is written, a line a finding.",
        rich_help_panel=options.OUTPUT,
    ),
]
Report = Annotated[
    bool,
    typer.Option(
        "--report/--no-report",
        help="Write the page to look at beside the list, as review.html; --no-report does not.",
        rich_help_panel=options.OUTPUT,
    ),
]
