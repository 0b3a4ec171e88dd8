"""`cliplab encoders`: every architecture and published weight, with size and whether at hand."""

from __future__ import annotations

from typing import Annotated

import typer

from cliplab.cli import options, show


def encoders(
    filter: Annotated[
        str | None, typer.Argument(help="Part of a name, as in `RN50` or `laion2b`.")
    ] = None,
    json: options.Json = False,
) -> None:
    """List encoders with parameters, width and resolution, and whether their weights are here."""
    from cliplab.encoders.catalogue import list_encoders

    rows = [entry._asdict() for entry in list_encoders(filter)]
    show.table(rows, ("name", "activation"), json=json)
