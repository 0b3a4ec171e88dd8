"""Options of `cliplab train tokenizer`, named as the fields of `TokenizerConfig` are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cliplab.cli import options

Preset = Annotated[
    str,
    typer.Option(help="cpu, small or dalle: what the options are that are not given."),
]
Minutes = Annotated[
    float | None,
    typer.Option(
        help="Train for so long: the steps follow from the rate. Measuring it comes on top."
    ),
]
Size = Annotated[
    int | None,
    typer.Option(help="Pixels a side. Default: the pictures' own, up to the preset's."),
]
Channels = Annotated[
    int | None, typer.Option(help="1 grey, 3 colour. Default: as the pictures are.")
]
Steps = Annotated[int | None, typer.Option(help="Updates of the weights.")]
BatchSize = Annotated[int | None, typer.Option(help="Pictures of an update, whatever the memory.")]
LearningRate = Annotated[float | None, typer.Option(help="The highest step size.")]
Quantizer = Annotated[
    str | None,
    typer.Option(help="gumbel, gumbel_st, vq or fsq.", rich_help_panel=options.MODEL),
]
Objective = Annotated[
    str | None,
    typer.Option(help="bce, logit_laplace, l1 or mse.", rich_help_panel=options.MODEL),
]
Codes = Annotated[
    int | None, typer.Option(help="Size of the vocabulary.", rich_help_panel=options.MODEL)
]
Width = Annotated[
    int | None, typer.Option(help="Of the networks' first group.", rich_help_panel=options.MODEL)
]
Groups = Annotated[
    int | None,
    typer.Option(
        help="2 to 4: a token stands for 2, 4 or 8 pixels a side.", rich_help_panel=options.MODEL
    ),
]
Blocks = Annotated[
    int | None, typer.Option(help="Residual blocks a group.", rich_help_panel=options.MODEL)
]
KlPerValue = Annotated[
    float,
    typer.Option(
        help="Weight of the KL term for each value of a picture: DALL-E's, at any size.",
        rich_help_panel=options.MODEL,
    ),
]
Evaluate = Annotated[
    bool,
    typer.Option(
        help="Measure it on held-out pictures when it is trained.", rich_help_panel=options.OUTPUT
    ),
]
Seed = Annotated[
    int,
    typer.Option(min=0, help="Of weights, order and noise.", rich_help_panel=options.MACHINE),
]
Out = Annotated[Path, typer.Option(help="Folder of the tokenizer.", rich_help_panel=options.OUTPUT)]
