"""`cliplab reconstruct`: pictures through a tokenizer and back, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cliplab.cli import options, show


def reconstruct(
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE...", help="Pictures, or folders of them.")
    ],
    tokenizer: options.Tokenizer,
    out: Annotated[
        Path,
        typer.Option(
            help="The grid: originals above, reconstructions below.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = Path("grid.png"),
    size: options.TokenizerSize = None,
    most: Annotated[
        int,
        typer.Option(min=1, help="Pictures drawn at most.", rich_help_panel=options.PICTURES),
    ] = 64,
    device: options.Device = "auto",
    workers: options.Workers = None,
    on_bad: options.OnBad = "list",
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Draw pictures and, below each, what a tokenizer makes of it: what its tokens keep."""
    from cliplab import reconstruction
    from cliplab.tokenizers.opening import load_tokenizer

    made = load_tokenizer(tokenizer, size=size, device=device, home=home)
    found = reconstruction.reconstruct(images, made, out, most=most, workers=workers, on_bad=on_bad)
    show.reconstructed(found, json=json)
