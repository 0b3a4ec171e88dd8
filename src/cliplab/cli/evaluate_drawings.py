"""`cliplab evaluate-drawings`: how good drawings are, beside real ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cliplab.cli import options, show

if TYPE_CHECKING:
    from cliplab.nouns import Record


def evaluate_drawings(
    drawings: Annotated[
        str,
        typer.Argument(
            metavar="DRAWINGS",
            help="Drawings by class: a folder (CLASS/1.png), such as `cliplab draw --out DIR` "
            "makes, or any data set.",
        ),
    ],
    dataset: options.Dataset,
    n: Annotated[
        int,
        typer.Option("-n", help="Drawings of each class.", rich_help_panel=options.PROTOCOL),
    ] = 100,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            help="Of which real pictures are taken, the classifiers and the resamples.",
            rich_help_panel=options.MACHINE,
        ),
    ] = 0,
    device: options.Device = "auto",
    workers: options.Workers = None,
    on_bad: options.OnBad = "list",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the run. Default: ./runs/drawings-DRAWINGS-DATASET-DIGEST.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    home: options.Home = None,
    all_classes: options.AllClasses = False,
    json: options.Json = False,
) -> None:
    """Measure drawings beside real held-out ones: recognised, alike, diverse, useful, no copies.

    A classifier that has no part in drawing judges. Every number stands beside that of real
    pictures, by class and overall. Killed and run again, it goes on.
    """
    from cliplab import drawing_evaluation
    from cliplab.datasets.family import open_dataset

    config = drawing_evaluation.EvaluateDrawingsConfig(
        n=n, seed=seed, device=device, workers=workers, on_bad=on_bad, home=home, out=out
    )
    drawn = open_dataset(drawings, home=home).dataset
    data, task = open_dataset(dataset, home=home)
    record = drawing_evaluation.evaluate_drawings(drawn, data, config, task=task)
    _print(record, json=json, all_classes=all_classes)


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
