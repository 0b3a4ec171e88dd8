"""`cliplab demo`: seeing on bundled real data, then drawing; no downloads, about a minute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cliplab.cli import options, show, show_page


def demo(
    out: Annotated[
        Path,
        typer.Option(
            help="Folder of the trained CLIP and the run.", rich_help_panel=options.OUTPUT
        ),
    ] = Path("runs/demo"),
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Train a tiny CLIP on handwritten digits, see how well it reads others; draw a few things.

    Nothing is downloaded: scikit-learn brings the 1,797 pictures. Run again, it trains no more.
    """
    from cliplab.demo import demo as demonstrate

    made = demonstrate(out, home=home, told=show.line(json))
    show.demonstration(made, json=json)
    show_page.pages([made.record.run / "report.html"], json=json)
