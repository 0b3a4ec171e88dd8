"""`cliplab reproduce`: the reported tables, row for row, reported beside ours."""

from __future__ import annotations

from cliplab.cli import options, show
from cliplab.nouns import DEFAULT_ENCODER


def reproduce(
    encoder: options.Encoder = DEFAULT_ENCODER,
    weights: options.Weights = None,
    classifier: options.Classifiers = None,
    prompts: options.PromptSet = None,
    deduplicate: options.Deduplicate = False,
    device: options.Device = "auto",
    precision: options.Precision = None,
    batch_size: options.BatchSize = 64,
    workers: options.Workers = None,
    seed: options.Seed = 0,
    on_bad: options.OnBad = "list",
    max_pixels: options.MaxPixels = None,
    out: options.Out = None,
    home: options.Home = None,
    csv: options.Csv = None,
    json: options.Json = False,
) -> None:
    """Measure the reported tables anew on what is prepared, and set them beside the reported ones.

    DomainNet by domain, Paris, Oxford and WikiArt by class. What is not prepared is listed with the
    command that prepares it; what was finished before is not done again.
    """
    from cliplab.protocol import EvaluateConfig
    from cliplab.reproduction import reproduce as reproduce_all

    config = EvaluateConfig(
        classifier=options.split_commas(classifier or ("zero_shot", "linear_probe")),
        prompts=prompts,
        deduplicate=deduplicate,
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
    found = reproduce_all(encoder, config, csv=csv, told=show.line(json))
    show.reproduction(found, json=json)
