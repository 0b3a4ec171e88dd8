"""`cliplab evaluate-drawings`: how good drawings are, beside real ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cliplab.cli import draw_options, options, show, show_page
from cliplab.runtime.shipped import NAME as QUICKDRAW

if TYPE_CHECKING:
    from cliplab.kept_drawings import PriorDrawer
    from cliplab.nouns import Dataset, Record

DATASET = "quickdraw"
PROMPT = "a {}"  # as `kept_drawings.PROMPT`
OF_A_PRIOR = (
    "tokenizer", "encoder", "decoder", "guidance", "temperature", "top_k", "top_p", "steps",
    "memory",
)  # fmt: skip

Prior = Annotated[
    str,
    typer.Argument(
        metavar="[PRIOR]",
        help="What draws: quickdraw, which comes with cliplab, or a folder made by `cliplab train "
        "prior`. Or drawings by class: a folder (CLASS/1.png), such as `cliplab draw --out DIR` "
        "makes, or any data set. Default: quickdraw.",
    ),
]
Real = Annotated[
    str,
    typer.Argument(
        metavar="[DATASET]",
        help="Real drawings of the same classes, for training and held out: a folder, a catalogue "
        "name (`cliplab datasets`), …. Default: quickdraw.",
    ),
]
Prompt = Annotated[
    str,
    typer.Option(help="What the prior is asked, {} for the class.", rich_help_panel=options.MODEL),
]
Seed = Annotated[
    int,
    typer.Option(
        min=0,
        help="Of drawings, of the real ones that are taken, classifiers and resamples.",
        rich_help_panel=options.MACHINE,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the run. Default: ./runs/drawings-PRIOR-DATASET-DIGEST.",
        rich_help_panel=options.OUTPUT,
    ),
]


def evaluate_drawings(
    prior: Prior = QUICKDRAW,
    dataset: Real = DATASET,
    n: draw_options.Number = 100,
    tokenizer: draw_options.Tokenizer = None,
    encoder: draw_options.Encoder = None,
    decoder: draw_options.Decoder = None,
    guidance: draw_options.Guidance = None,
    temperature: draw_options.Temperature = None,
    top_k: draw_options.TopK = None,
    top_p: draw_options.TopP = None,
    steps: draw_options.Steps = None,
    prompt: Prompt = PROMPT,
    seed: Seed = 0,
    memory: draw_options.Memory = None,
    device: options.Device = "auto",
    workers: options.Workers = None,
    on_bad: options.OnBad = "list",
    out: Out = None,
    report: options.Report = True,
    home: options.Home = None,
    all_classes: options.AllClasses = False,
    json: options.Json = False,
) -> None:
    """Measure drawings beside real held-out ones: recognised, alike, diverse, useful, no copies.

    A classifier that has no part in drawing judges. Every number stands beside that of real
    pictures, by class and overall. Killed and run again, it goes on. report.html in the run's
    folder shows them.
    """
    given = dict(locals())  # options are named as the fields are
    from cliplab import drawing_evaluation
    from cliplab.datasets.family import open_dataset
    from cliplab.report.drawings_page import write_drawings_page
    from cliplab.report.page import no_condition

    config = drawing_evaluation.EvaluateDrawingsConfig(
        n=n, seed=seed, device=device, workers=workers, on_bad=on_bad, home=home, out=out
    )
    asked = {name: given[name] for name in OF_A_PRIOR}
    data, task = open_dataset(dataset, home=home)
    drawn = _opened(prior, asked, prompt, config)
    record = drawing_evaluation.evaluate_drawings(drawn, data, config, task=task)
    if report:
        with no_condition(again=f"cliplab report {record.run}"):
            write_drawings_page(record.run, home=home)
    _print(record, json=json, all_classes=all_classes)
    if report:
        show_page.pages([record.run / "report.html"], json=json)


def _opened(prior: str, asked: dict[str, Any], prompt: str, config: Any) -> Dataset | PriorDrawer:
    """Give drawings that are there, or what draws them."""
    from cliplab.datasets.family import open_dataset
    from cliplab.drawing_requests import DrawConfig
    from cliplab.kept_drawings import PriorDrawer, is_drawn
    from cliplab.runtime.errors import UsageError

    if not is_drawn(prior):
        given = DrawConfig(
            prior=prior, seed=config.seed, device=config.device, home=config.home, **asked
        )
        return PriorDrawer(given, prompt)
    named = [f"--{name}".replace("_", "-") for name, value in asked.items() if value is not None]
    if named := named + ["--prompt"] * (prompt != PROMPT):
        raise UsageError(
            f"{prior} holds drawings, and {', '.join(named)} is for a prior that draws. Leave it "
            "out, or name a prior."
        )
    return open_dataset(prior, home=config.home).dataset


def _print(record: Record, *, json: bool, all_classes: bool) -> None:
    from cliplab.report.drawings_record import drawings_lines, overall_table, per_class_table
    from cliplab.report.layout import print_tables

    if json:
        show.as_json(record.data)
        return
    print_tables(overall_table(record))
    print()
    print_tables(per_class_table(record, all_classes=all_classes))
    print("\n" + "\n".join(drawings_lines(record)))
    print(f"record: {record.run / 'record.json'}")
