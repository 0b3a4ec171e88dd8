"""`cliplab evaluate`: how well encoders see data sets, overall and class by class."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cliplab.cli import options, show


def evaluate(
    datasets: Annotated[
        list[str],
        typer.Argument(
            metavar="DATASET...",
            help="A folder of pictures, a catalogue name (`cliplab datasets`), or hf:owner/name; "
            "`:task` after it chooses the labels.",
        ),
    ],
    encoder: options.Encoders = None,
    weights: options.Weights = None,
    classifier: Annotated[
        list[str] | None,
        typer.Option(
            help="zero_shot, linear_probe, knn; several with commas. Default: the first two.",
            rich_help_panel=options.PROTOCOL,
        ),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            help="What is scored; `all` is for zero-shot alone.", rich_help_panel=options.PROTOCOL
        ),
    ] = "test",
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            help="A caption template, `{}` stands for the class; may be repeated.",
            rich_help_panel=options.PROTOCOL,
        ),
    ] = None,
    prompts: Annotated[
        str | None,
        typer.Option(
            help="A set of templates: simple, openai-7, openai-80, or a file. Default: the data "
            "set's own, else simple.",
            rich_help_panel=options.PROTOCOL,
        ),
    ] = None,
    classes: Annotated[
        Path | None,
        typer.Option(
            help="A file of readable class names: one a line, or `code,name`.",
            rich_help_panel=options.PROTOCOL,
        ),
    ] = None,
    features: options.Features = "pre",
    normalize: options.Normalize = False,
    c: options.FixedC = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
    batch_size: options.BatchSize = 64,
    workers: options.Workers = None,
    seed: options.Seed = 0,
    on_bad: options.OnBad = "list",
    max_pixels: options.MaxPixels = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the run. Default: ./runs/DATASET-ENCODER-DATE.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    home: options.Home = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            help="Write the table of all runs to this file.", rich_help_panel=options.OUTPUT
        ),
    ] = None,
    all_classes: Annotated[
        bool,
        typer.Option(
            "--all-classes",
            help="Print every class, however many there are.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = False,
    json: options.Json = False,
) -> None:
    """Score zero-shot and a linear probe on held-out pictures, overall and class by class.

    Several data sets and several encoders give a table of all of them; cells that were finished
    before a kill are not done again.
    """
    from cliplab.evaluation import DEFAULT_ENCODER, EvaluateConfig
    from cliplab.suite import evaluate_all

    config = EvaluateConfig(
        classifiers=options.split_commas(classifier or ("zero_shot", "linear_probe")),
        split=split,
        prompt=tuple(prompt or ()),
        prompts=prompts,
        classes=classes,
        features=features,
        normalize=normalize,
        c=c,
        weights=weights,
        device=device,
        precision=precision,
        batch_size=batch_size,
        workers=workers,
        seed=seed,
        on_bad=on_bad,
        max_pixels=max_pixels,
        out=out,
        home=home,
    )
    encoders = tuple(encoder or (DEFAULT_ENCODER,))
    records = evaluate_all(tuple(datasets), encoders, config, csv=csv, told=show.headline(json))
    show.records(records, as_json=json, all_classes=all_classes)
