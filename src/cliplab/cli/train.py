"""`cliplab train`: networks trained on your own pictures, resumed exactly when killed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cliplab.cli import options, show

app = typer.Typer(no_args_is_help=True, help="Train on your own pictures; resumes when killed.")


@app.callback()
def _train() -> None:
    """Keep `clip` a command of its own while it is the only one."""


@app.command()
def clip(
    dataset: options.Dataset,
    out: Annotated[
        Path,
        typer.Option(help="Folder of the encoder.", rich_help_panel=options.OUTPUT),
    ] = Path("clip"),
    model: Annotated[
        str,
        typer.Option(
            help="`tiny`, an architecture of open_clip's, or a file of its configuration.",
            rich_help_panel=options.MODEL,
        ),
    ] = "tiny",
    epochs: Annotated[int, typer.Option(help="Passes over the training pictures.")] = 30,
    batch_size: Annotated[int, typer.Option(help="Pairs compared with each other.")] = 128,
    lr: Annotated[float, typer.Option(help="The highest learning rate.")] = 2e-3,
    warmup: Annotated[float, typer.Option(help="Share of the steps over which it rises.")] = 0.1,
    weight_decay: Annotated[float, typer.Option(help="Of AdamW.")] = 0.1,
    captions: Annotated[
        str,
        typer.Option(
            help="auto: the data set's own where it has some, else its classes in prompts; column "
            "or prompts force one.",
            rich_help_panel=options.PROTOCOL,
        ),
    ] = "auto",
    prompt: options.Prompt = None,
    shift: Annotated[int, typer.Option(help="Pixels a picture is moved by, at most.")] = 3,
    memory: options.Memory = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    workers: options.Workers = None,
    on_bad: options.OnBad = "list",
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Train a CLIP on pictures and their captions, by the contrastive loss of CLIP's paper.

    Killed and run again, it goes on to the same weights. The folder is an encoder like any other:
    `cliplab evaluate DATASET --encoder OUT`.
    """
    from cliplab.datasets.family import open_dataset
    from cliplab.encoders.contrastive import ContrastiveConfig, train_clip

    config = ContrastiveConfig(
        model=model,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        warmup=warmup,
        weight_decay=weight_decay,
        captions=captions,
        prompt=tuple(prompt or ()),
        shift=shift,
        memory=memory,
        seed=seed,
        device=device,
        workers=workers,
        on_bad=on_bad,
    )
    data, task = open_dataset(dataset, home=home)
    show.trained(train_clip(data, config, out, task=task), json=json)
