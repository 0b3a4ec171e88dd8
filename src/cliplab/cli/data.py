"""`cliplab datasets` and `cliplab prepare`: what there is, and how it comes to be here."""

from __future__ import annotations

from typing import Annotated

import typer

from cliplab.cli import options, show


def datasets(home: options.Home = None, json: options.Json = False) -> None:
    """List the data sets: tasks, classes, splits, licence, size, and what is at hand."""
    from cliplab.datasets.family import catalogue
    from cliplab.runtime.storage import home as home_of

    show.data_sets(catalogue(home_of(home)), json=json)


def prepare(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Catalogue names, folders, hf:owner/name."),
    ],
    on_bad: options.OnBad = "list",
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Read, verify and write data sets as standard Parquet; a killed run goes on at the shard."""
    from cliplab.datasets.prepare import prepare as prepare_one
    from cliplab.runtime.storage import home as home_of

    place = home_of(home)
    show.prepared([prepare_one(name, home=place, on_bad=on_bad) for name in names], json=json)
