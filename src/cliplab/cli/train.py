"""`cliplab train`: networks trained on your own pictures, resumed exactly when killed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cliplab.cli import options, show, tokenizer_options

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


@app.command()
def tokenizer(
    dataset: options.Dataset,
    out: tokenizer_options.Out = Path("tokenizer"),
    preset: tokenizer_options.Preset = "cpu",
    minutes: tokenizer_options.Minutes = None,
    memory: options.Memory = None,
    size: tokenizer_options.Size = None,
    channels: tokenizer_options.Channels = None,
    steps: tokenizer_options.Steps = None,
    batch_size: tokenizer_options.BatchSize = None,
    lr: tokenizer_options.LearningRate = None,
    quantizer: tokenizer_options.Quantizer = None,
    objective: tokenizer_options.Objective = None,
    codes: tokenizer_options.Codes = None,
    width: tokenizer_options.Width = None,
    groups: tokenizer_options.Groups = None,
    blocks: tokenizer_options.Blocks = None,
    kl_per_value: tokenizer_options.KlPerValue = 6.6 / 192,
    evaluate: tokenizer_options.Evaluate = True,
    seed: tokenizer_options.Seed = 0,
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
    given = dict(locals())  # options are named as the fields are
    from dataclasses import fields

    from cliplab.datasets.family import open_dataset
    from cliplab.reconstruction import EvaluateTokenizerConfig, evaluate_held_out
    from cliplab.tokenizers.config import TokenizerConfig
    from cliplab.tokenizers.opening import load_tokenizer
    from cliplab.tokenizers.training import train_tokenizer

    config = TokenizerConfig(**{field.name: given[field.name] for field in fields(TokenizerConfig)})
    data, task = open_dataset(dataset, home=home)
    folder = train_tokenizer(data, config, out, task=task)
    record = None
    if evaluate:
        measuring = EvaluateTokenizerConfig(
            seed=seed,
            device=device,
            memory=memory,
            workers=workers,
            home=home,
            out=folder / "evaluation",
        )
        made = load_tokenizer(folder, device=device)
        record = evaluate_held_out(data, made, measuring, task=task)
    show.tokenizer(folder, record, json=json)


app.command("vae", help="The same as `train tokenizer`.")(tokenizer)
