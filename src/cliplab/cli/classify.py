"""`cliplab classify`: which caption fits a picture, CLIP's own job; or a fitted probe's answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cliplab.cli import options, show
from cliplab.nouns import DEFAULT_ENCODER


def classify(
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE...", help="Pictures, or folders of them.")
    ],
    label: Annotated[
        list[str] | None,
        typer.Option("--label", "-l", help="A caption to try; repeat for each."),
    ] = None,
    with_run: Annotated[
        str | None,
        typer.Option(
            "--with", help="Use the probe fitted in this run: a folder, its name, or `latest`."
        ),
    ] = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option(
            help="Template around each label, `{}` stands for it. Default: the label as it is.",
            rich_help_panel=options.PROTOCOL,
        ),
    ] = None,
    encoder: options.Encoder = DEFAULT_ENCODER,
    weights: options.Weights = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
    batch_size: options.BatchSize = 64,
    workers: options.Workers = None,
    on_bad: options.OnBad = "list",
    max_pixels: options.MaxPixels = None,
    home: options.Home = None,
    runs: options.Runs = Path("runs"),
    csv: options.Csv = None,
    json: options.Json = False,
) -> None:
    """Print the probability of each caption for each picture.

    With `--with RUN`, the classes and the probe of an evaluation answer instead of captions.
    """
    from cliplab import classification

    config = classification.ClassifyConfig(
        label=tuple(label or ()),
        with_run=with_run,
        prompt=tuple(prompt or ()),
        encoder=encoder,
        weights=weights,
        device=device,
        precision=precision,
        batch_size=batch_size,
        workers=workers,
        on_bad=on_bad,
        max_pixels=max_pixels,
        home=home,
        runs=runs,
    )
    answer = classification.classify(images, config)
    if csv:
        classification.write_csv(csv, answer)
    show.classified(answer, json=json)
