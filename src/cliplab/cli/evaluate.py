"""`cliplab evaluate`: how well encoders see data sets, overall and class by class."""

from __future__ import annotations

from cliplab.cli import options, show, show_page


def evaluate(
    datasets: options.Datasets,
    encoder: options.Encoders = None,
    weights: options.Weights = None,
    classifier: options.Classifiers = None,
    train_on: options.TrainOn = None,
    split: options.Split = "test",
    prompt: options.Prompt = None,
    prompts: options.PromptSet = None,
    classes: options.Classes = None,
    deduplicate: options.Deduplicate = False,
    protocol: options.ProbeProtocol = "fast",
    features: options.Features = None,
    normalize: options.Normalize = False,
    c: options.FixedC = None,
    shots: options.Shots = None,
    repeats: options.Repeats = 5,
    device: options.Device = "auto",
    precision: options.Precision = None,
    batch_size: options.BatchSize = 64,
    workers: options.Workers = None,
    seed: options.Seed = 0,
    on_bad: options.OnBad = "list",
    max_pixels: options.MaxPixels = None,
    out: options.Out = None,
    report: options.Report = True,
    home: options.Home = None,
    csv: options.Csv = None,
    all_classes: options.AllClasses = False,
    json: options.Json = False,
) -> None:
    """Score zero-shot and a linear probe on held-out pictures, overall and class by class.

    Several data sets and several encoders give a table of all of them; cells that were finished
    before a kill are not done again.
    """
    given = dict(locals())  # options are named as the fields are
    from cliplab.protocol import EvaluateConfig
    from cliplab.suite import evaluate_all

    config = options.filled(
        EvaluateConfig,
        given,
        classifier=options.split_commas(classifier or ("zero_shot", "linear_probe")),
        prompt=tuple(prompt or ()),
        shots=options.whole_numbers("--shots", shots or ()),
    )
    records = evaluate_all(datasets, encoder, config, csv=csv, told=show.line(json))
    show.records(records, json=json, all_classes=all_classes)
    if report:
        show_page.pages((record.run / "report.html" for record in records), json=json)
