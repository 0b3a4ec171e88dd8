"""`cliplab datasets` and `cliplab prepare`: what there is, and how it comes to be here."""

from __future__ import annotations

from typing import Annotated

import typer

from cliplab.cli import options, show

DRAWINGS = "Drawings"

Size = Annotated[
    int | None,
    typer.Option(
        "--size",
        help="Pixels a side that strokes are drawn at. Default: 64.",
        rich_help_panel=DRAWINGS,
    ),
]
PerClass = Annotated[
    int | None,
    typer.Option(
        "--per-class",
        help="Take the first so many drawings of each class. Default: all.",
        rich_help_panel=DRAWINGS,
    ),
]
Look = Annotated[
    str,
    typer.Option(
        "--look",
        help="Lines: dark (on white) or light (on black).",
        rich_help_panel=DRAWINGS,
    ),
]
AllDrawings = Annotated[
    bool,
    typer.Option(
        "--all-drawings",
        help="Take drawings that the game did not recognise as well.",
        rich_help_panel=DRAWINGS,
    ),
]


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
        typer.Argument(metavar="NAME...", help="Catalogue names, folders, hf:owner/name, or wds:…"),
    ],
    archives: options.Archives = None,
    size: Size = None,
    per_class: PerClass = None,
    look: Look = "dark",
    all_drawings: AllDrawings = False,
    offline: options.Offline = False,
    on_bad: options.OnBad = "list",
    workers: options.Workers = None,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Download, verify and write data sets as Parquet; a killed run goes on at the shard.

    Options for drawings are those of quickdraw. They become part of its name, by which the data set
    is then called: `quickdraw/strokes@size=128,per-class=1000`.
    """
    from cliplab.datasets.drawings import DrawingOptions
    from cliplab.datasets.from_archives import prepare_named
    from cliplab.datasets.quickdraw import with_options
    from cliplab.runtime.storage import home as home_of

    folders = []
    drawn = DrawingOptions(size=size, per_class=per_class, look=look, all_drawings=all_drawings)
    for name in names:
        folders += prepare_named(
            name if drawn == DrawingOptions() else with_options(name, drawn),
            home=home_of(home),
            archives=archives,
            offline=offline,
            on_bad=on_bad,
            workers=workers,
        )
    show.prepared(folders, json=json)
