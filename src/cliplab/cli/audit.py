"""`cliplab audit`: what is wrong with a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cliplab.cli import options, show, show_page
from cliplab.nouns import DEFAULT_ENCODER


def audit(
    dataset: options.Dataset,
    encoder: options.Encoder = DEFAULT_ENCODER,
    weights: options.Weights = None,
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold",
            help="Cosine from which two pictures count as near-duplicates, the set's mean taken "
            "off.",
            rich_help_panel=options.PROTOCOL,
        ),
    ] = 0.95,
    features: Annotated[
        str,
        typer.Option(
            "--features",
            help="What the probe that judges labels reads: pre (before the projection) or post.",
            rich_help_panel=options.PROTOCOL,
        ),
    ] = "pre",
    device: options.Device = "auto",
    precision: options.Precision = None,
    batch_size: options.BatchSize = 64,
    workers: options.Workers = None,
    seed: options.Seed = 0,
    max_pixels: options.MaxPixels = None,
    home: options.Home = None,
    csv: Annotated[
        Path,
        typer.Option(
            "--csv",
            help="Where the list to review is written, a line a finding.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = Path("review.csv"),
    report: Annotated[
        bool,
        typer.Option(
            "--report/--no-report",
            help="Write the page to look at beside the list, as review.html; --no-report does not.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = True,
    json: options.Json = False,
) -> None:
    """Find suspected wrong labels, duplicates, unreadable and odd pictures, and small classes.

    Nothing is changed: what was found is written to review.csv, the most doubtful of each kind
    first; review.html beside it shows the pictures.
    """
    given = dict(locals())  # options are named as the fields are
    from cliplab import audit as auditing
    from cliplab.report.audit_page import write_audit_page
    from cliplab.report.page import no_condition

    found = auditing.audit(dataset, encoder, options.filled(auditing.AuditConfig, given))
    auditing.write_review(csv, found)
    page = csv.with_suffix(".html")
    if report:
        with no_condition(again=f"cliplab audit {dataset}"):
            write_audit_page(page, dataset, found._asdict(), home=home)
    show.audit(found, csv, json=json)
    if report:
        show_page.pages([page], json=json)
