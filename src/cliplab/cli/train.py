"""`cliplab train`: networks trained on your own pictures, resumed exactly when killed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cliplab.cli import options, prior_options, show, show_prior, tokenizer_options

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
            help="`tiny`, `sketch` (drawings), an architecture of open_clip's, or a file of its "
            "configuration.",
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
    targets: Annotated[
        str,
        typer.Option(
            help="pairs: a picture's own caption alone is right; classes: any of its class is, "
            "which suits prompts.",
            rich_help_panel=options.PROTOCOL,
        ),
    ] = "pairs",
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
    given = {**locals(), "prompt": tuple(prompt or ())}  # options are named as the fields are
    from cliplab.datasets.family import open_dataset
    from cliplab.encoders.contrastive import ContrastiveConfig, train_clip

    config = options.filled(ContrastiveConfig, given)
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
    from cliplab.datasets.family import open_dataset
    from cliplab.reconstruction import EvaluateTokenizerConfig, evaluate_held_out
    from cliplab.tokenizers.config import TokenizerConfig
    from cliplab.tokenizers.opening import load_tokenizer
    from cliplab.tokenizers.training import train_tokenizer

    config = options.filled(TokenizerConfig, given)
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


@app.command()
def prior(
    dataset: options.Dataset,
    tokenizer: options.Tokenizer,
    encoder: prior_options.Encoder = None,
    out: prior_options.Out = Path("prior"),
    preset: prior_options.Preset = "cpu",
    decoder: prior_options.Decoder = "autoregressive",
    condition: prior_options.Condition = "text",
    minutes: tokenizer_options.Minutes = None,
    memory: options.Memory = None,
    steps: tokenizer_options.Steps = None,
    batch_size: prior_options.BatchSize = None,
    lr: tokenizer_options.LearningRate = None,
    width: prior_options.Width = None,
    layers: prior_options.Layers = None,
    heads: prior_options.Heads = None,
    dropout: prior_options.Dropout = None,
    drop_condition: prior_options.DropCondition = 0.1,
    prompt: options.Prompt = None,
    seed: prior_options.Seed = 0,
    device: options.Device = "auto",
    precision: options.Precision = None,
    workers: options.Workers = None,
    on_bad: options.OnBad = "list",
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Train a prior, DALL-E's second stage: which tokens a drawing has, given words.

    Tokens are made once and kept. Killed and run again, it goes on to the same weights.
    """
    given = {**locals(), "prompt": tuple(prompt or ())}  # options are named as the fields are
    from cliplab import prior_training
    from cliplab.datasets.family import open_dataset
    from cliplab.priors.config import PriorConfig
    from cliplab.tokenizers.opening import load_tokenizer

    config = options.filled(PriorConfig, given)
    data, task = open_dataset(dataset, home=home)
    made = load_tokenizer(tokenizer, device=device, home=home)
    asked = None
    if condition != "class" or encoder is not None:
        asked = prior_training.encoder_of(encoder, device=device)
    folder = prior_training.train_prior(data, made, config, out, encoder=asked, task=task)
    show_prior.trained(folder, json=json)
