"""`cliplab train`: networks trained on your own pictures, resumed exactly when killed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cliplab.cli import options, show

app = typer.Typer(no_args_is_help=True, help="Train on your own pictures; resumes when killed.")


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
        seed=seed,
        device=device,
        workers=workers,
        on_bad=on_bad,
    )
    data, task = open_dataset(dataset, home=home)
    show.trained(train_clip(data, config, out, task=task), json=json)


@app.command()
def tokenizer(
    dataset: options.Dataset,
    out: Annotated[
        Path,
        typer.Option(help="Folder of the tokenizer.", rich_help_panel=options.OUTPUT),
    ] = Path("tokenizer"),
    preset: Annotated[
        str,
        typer.Option(help="cpu, small or dalle: what the options below are when not given."),
    ] = "cpu",
    minutes: Annotated[
        float | None, typer.Option(help="Train for so long: the steps follow from the rate.")
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(
            help="What training may take, such as 2GiB. Default: what is free, less a margin.",
            rich_help_panel=options.MACHINE,
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(help="Pixels a side. Default: the pictures' own, up to the preset's."),
    ] = None,
    channels: Annotated[
        int | None, typer.Option(help="1 grey, 3 colour. Default: as the pictures are.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Updates of the weights.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Pictures of an update, whatever the memory.")
    ] = None,
    lr: Annotated[float | None, typer.Option(help="The highest step size.")] = None,
    quantizer: Annotated[
        str | None,
        typer.Option(help="gumbel, gumbel_st, vq or fsq.", rich_help_panel=options.MODEL),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(help="bce, logit_laplace, l1 or mse.", rich_help_panel=options.MODEL),
    ] = None,
    codes: Annotated[
        int | None, typer.Option(help="Size of the vocabulary.", rich_help_panel=options.MODEL)
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(help="Of the networks' first group.", rich_help_panel=options.MODEL),
    ] = None,
    groups: Annotated[
        int | None,
        typer.Option(
            help="2 to 4: a token stands for 2, 4 or 8 pixels a side.",
            rich_help_panel=options.MODEL,
        ),
    ] = None,
    blocks: Annotated[
        int | None,
        typer.Option(help="Residual blocks a group.", rich_help_panel=options.MODEL),
    ] = None,
    kl_per_value: Annotated[
        float,
        typer.Option(
            help="Weight of the KL term for each value of a picture: DALL-E's, at any size.",
            rich_help_panel=options.MODEL,
        ),
    ] = 6.6 / 192,
    evaluate: Annotated[
        bool,
        typer.Option(
            help="Measure it on held-out pictures when it is trained.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = True,
    seed: Annotated[
        int,
        typer.Option(min=0, help="Of weights, order and noise.", rich_help_panel=options.MACHINE),
    ] = 0,
    device: options.Device = "auto",
    precision: options.Precision = None,
    workers: options.Workers = None,
    on_bad: options.OnBad = "list",
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Train a discrete VAE, DALL-E's first stage, inside the memory that it is given.

    Killed and run again, it goes on to the same weights. It is then measured on held-out pictures;
    the record is OUT/evaluation/record.json.
    """
    from cliplab.datasets.family import open_dataset
    from cliplab.reconstruction import EvaluateTokenizerConfig, evaluate_held_out
    from cliplab.tokenizers.config import TokenizerConfig
    from cliplab.tokenizers.opening import load_tokenizer
    from cliplab.tokenizers.training import train_tokenizer

    config = TokenizerConfig(
        preset=preset,
        size=size,
        channels=channels,
        codes=codes,
        width=width,
        groups=groups,
        blocks=blocks,
        quantizer=quantizer,
        objective=objective,
        steps=steps,
        minutes=minutes,
        batch_size=batch_size,
        lr=lr,
        kl_per_value=kl_per_value,
        seed=seed,
        memory=memory,
        precision=precision,
        device=device,
        workers=workers,
        on_bad=on_bad,
        home=home,
    )
    data, task = open_dataset(dataset, home=home)
    folder = train_tokenizer(data, config, out, task=task)
    record = None
    if evaluate:
        measuring = EvaluateTokenizerConfig(
            seed=seed, device=device, workers=workers, home=home, out=folder / "evaluation"
        )
        made = load_tokenizer(folder, device=device)
        record = evaluate_held_out(data, made, measuring, task=task)
    show.tokenizer(folder, record, json=json)


app.command("vae", help="The same as `train tokenizer`.")(tokenizer)
