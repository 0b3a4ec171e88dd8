"""`cliplab audit`: what is wrong with a data set."""

from __future__ import annotations

from pathlib import Path

from cliplab.cli import audit_options, options, show, show_page
from cliplab.nouns import DEFAULT_ENCODER


def audit(
    dataset: options.Dataset,
    encoder: options.Encoder = DEFAULT_ENCODER,
    weights: options.Weights = None,
    threshold: audit_options.Threshold = 0.95,
    features: audit_options.Features = "pre",
    device: options.Device = "auto",
    precision: options.Precision = None,
    batch_size: options.BatchSize = 64,
    workers: options.Workers = None,
    seed: options.Seed = 0,
    max_pixels: options.MaxPixels = None,
    home: options.Home = None,
    csv: audit_options.Review = Path("review.csv"),
    report: audit_options.Report = True,
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
