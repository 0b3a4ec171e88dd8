"""`cliplab datasets` and `cliplab prepare`: what there is, and how it comes to be here."""

from __future__ import annotations

from typing import Annotated

import typer

from cliplab.cli import options, show


def datasets(
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Ask each address for the length of its file and compare it with the known one; "
            "ends with 1 if any differs or does not answer.",
        ),
    ] = False,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """List the data sets: tasks, classes, splits, licence, size, and what is at hand."""
    from cliplab.datasets.family import catalogue
    from cliplab.runtime.storage import home as home_of

    if check:
        _check(json)
    else:
        show.data_sets(catalogue(home_of(home)), json=json)


def _check(json: bool) -> None:
    from cliplab.datasets.check import check_addresses

    found = check_addresses()
    show.addresses(found, json=json)
    if any(address.is_bad for address in found):
        raise typer.Exit(1)


def prepare(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Catalogue names, folders, hf:owner/name."),
    ],
    archives: options.Archives = None,
    offline: options.Offline = False,
    on_bad: options.OnBad = "list",
    workers: options.Workers = None,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Download, verify and write data sets as Parquet; a killed run goes on at the shard."""
    from cliplab.datasets.from_archives import prepare_named
    from cliplab.runtime.storage import home as home_of

    folders = []
    for name in names:
        folders += prepare_named(
            name,
            home=home_of(home),
            archives=archives,
            offline=offline,
            on_bad=on_bad,
            workers=workers,
        )
    show.prepared(folders, json=json)
