"""`cliplab transfer`: trained on each domain, tested on each."""

from __future__ import annotations

from cliplab.cli import options, show, show_page
from cliplab.nouns import DEFAULT_ENCODER


def transfer(
    datasets: options.Domains,
    encoder: options.Encoder = DEFAULT_ENCODER,
    weights: options.Weights = None,
    classifier: options.Trained = "linear_probe",
    prompt: options.Prompt = None,
    prompts: options.PromptSet = None,
    classes: options.Classes = None,
    features: options.Features = None,
    normalize: options.Normalize = False,
    c: options.FixedC = None,
    device: options.Device = "auto",
    precision: options.Precision = None,
    batch_size: options.BatchSize = 64,
    workers: options.Workers = None,
    seed: options.Seed = 0,
    on_bad: options.OnBad = "list",
    max_pixels: options.MaxPixels = None,
    out: options.OutCells = None,
    report: options.Report = True,
    home: options.Home = None,
    csv: options.Csv = None,
    json: options.Json = False,
) -> None:
    """Train a probe on each domain and test it on each; zero-shot is the last row.

    Each cell is a run; finished cells are not done again.
    """
    from cliplab import transfer as across
    from cliplab.protocol import EvaluateConfig

    config = EvaluateConfig(
        classifier=options.split_commas([classifier]),
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
        report=report,
        home=home,
    )
    found = across.transfer(tuple(datasets), encoder, config, told=show.line(json))
    show.transfer(found, csv=csv, json=json)
    if report:
        show_page.pages([found.folder / "report.html"], json=json)
