"""How pages are announced, and opened."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cliplab.report.page import Page


def pages(found: Iterable[Path], *, json: bool) -> None:
    """Print where pages lie, those that were written; nothing where stdout is for programs."""
    for path in found:
        if not json and path.is_file():
            print(f"page: {path}")


def page(found: Page, *, json: bool, open_it: bool) -> None:
    """Print where a page lies and what it lacks, and show it in the browser if wanted."""
    if json:
        from cliplab.cli.show import as_json

        as_json({"page": found.path, "without_pictures": found.notes})
    else:
        print(f"page: {found.path}")
        for note in found.notes:
            print(f"It is made without pictures: {note}")
    if open_it:
        import webbrowser

        webbrowser.open(found.path.resolve().as_uri())
