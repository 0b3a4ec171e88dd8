"""Options of `cliplab train prior`, named as the fields of `PriorConfig` are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cliplab.cli import options

PRIOR = "Prior"

Encoder = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        "-e",
        help="Whose vectors it is asked by: a folder made by `cliplab train clip`, or ARCH/TAG.",
        rich_help_panel=options.MODEL,
    ),
]
Preset = Annotated[
    str,
    typer.Option(help="cpu, small or large: what the options are that are not given."),
]
Decoder = Annotated[
    str,
    typer.Option(
        help="autoregressive, or masked: all tokens in a few steps, for latency.",
        rich_help_panel=PRIOR,
    ),
]
Condition = Annotated[
    str,
    typer.Option(
        help="text: captions of the classes; image: the pictures themselves, asked with words "
        "later; class.",
        rich_help_panel=PRIOR,
    ),
]
BatchSize = Annotated[int | None, typer.Option(help="Drawings of an update, whatever the memory.")]
Width = Annotated[int | None, typer.Option(help="Of the network.", rich_help_panel=PRIOR)]
Layers = Annotated[int | None, typer.Option(help="Of the network.", rich_help_panel=PRIOR)]
Heads = Annotated[
    int | None, typer.Option(help="Of attention; they divide the width.", rich_help_panel=PRIOR)
]
Dropout = Annotated[
    float | None,
    typer.Option(help="Share of activations that a step does without.", rich_help_panel=PRIOR),
]
DropCondition = Annotated[
    float,
    typer.Option(
        help="Share of drawings learnt without their condition, for guidance.",
        rich_help_panel=PRIOR,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        min=0, help="Of weights, order and what is drawn.", rich_help_panel=options.MACHINE
    ),
]
Out = Annotated[Path, typer.Option(help="Folder of the prior.", rich_help_panel=options.OUTPUT)]
