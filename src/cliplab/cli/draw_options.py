"""Options of `cliplab draw`, named as the fields of `DrawConfig` are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cliplab.cli import options

SAMPLING, GIVEN, ORDER = "Sampling", "From a drawing, or from text to text", "Choosing"

Texts = Annotated[
    list[str], typer.Argument(metavar="TEXT...", help='What is to be drawn, as "a cat".')
]
Number = Annotated[int, typer.Option("-n", "--number", help="Drawings of each text.")]
Out = Annotated[
    Path,
    typer.Option(
        help="A file ending in .png gets a grid, ink on white. A folder gets "
        "CLASS_OR_TEXT/NUMBER.png in the data set's own tones: a data set for `cliplab evaluate`.",
        rich_help_panel=options.OUTPUT,
    ),
]
Scale = Annotated[
    int | None,
    typer.Option(
        help="Pixels a side that a pixel becomes. Default: of a grid as many as make a drawing "
        "64 pixels, in a folder 1.",
        rich_help_panel=options.OUTPUT,
    ),
]
Prior = Annotated[
    str,
    typer.Option(
        "--prior",
        "-p",
        help="What draws: quickdraw, which comes with cliplab, or a folder made by "
        "`cliplab train prior`.",
        rich_help_panel=options.MODEL,
    ),
]
Tokenizer = Annotated[
    str | None,
    typer.Option(
        "--tokenizer",
        "-t",
        help="Of the prior's tokens. Default: the one that it was trained with.",
        rich_help_panel=options.MODEL,
    ),
]
Encoder = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        "-e",
        help="That reads the words. Default: the one that the prior was trained with.",
        rich_help_panel=options.MODEL,
    ),
]
Decoder = Annotated[
    str | None,
    typer.Option(
        help="Which quickdraw: autoregressive (the better one), or masked (a few steps, "
        "quicker for a single drawing). Default: autoregressive.",
        rich_help_panel=options.MODEL,
    ),
]
Guidance = Annotated[
    float | None,
    typer.Option(
        help="Weight of the words: 1 draws as learned, more is clearer and less varied. "
        "Default: as was measured best.",
        rich_help_panel=SAMPLING,
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        help="Below 1: likelier tokens, drawings more alike. Default: 1.",
        rich_help_panel=SAMPLING,
    ),
]
TopK = Annotated[
    int | None,
    typer.Option(help="Only the k likeliest tokens. Default: all.", rich_help_panel=SAMPLING),
]
TopP = Annotated[
    float | None,
    typer.Option(
        help="Only the likeliest tokens that make up this share. Default: all.",
        rich_help_panel=SAMPLING,
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        help="In which a masked prior draws. Default: 8.",
        rich_help_panel=SAMPLING,
    ),
]
Complete = Annotated[
    Path | None,
    typer.Option(
        metavar="PICTURE",
        help="A drawing of which one half stays; the rest is drawn.",
        rich_help_panel=GIVEN,
    ),
]
Keep = Annotated[
    str,
    typer.Option(help="The half that stays: top, bottom, left, right.", rich_help_panel=GIVEN),
]
To = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="The drawings lie on the way from each text to this one.",
        rich_help_panel=GIVEN,
    ),
]
Rerank = Annotated[
    str | None,
    typer.Option(
        metavar="ENCODER",
        help="Put the drawings in order, those first that go best with the text by this "
        "encoder; both orders' scores are recorded.",
        rich_help_panel=ORDER,
    ),
]
Among = Annotated[
    int | None,
    typer.Option(
        help="Drawn for each text, of which --rerank keeps the best -n. Default: -n.",
        rich_help_panel=ORDER,
    ),
]
Seed = Annotated[
    int,
    typer.Option(
        help="The same seed gives the same drawings on a device.",
        rich_help_panel=options.MACHINE,
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        help="What drawing may take, such as 2GiB. Default: what is free, less a margin.",
        rich_help_panel=options.MACHINE,
    ),
]
