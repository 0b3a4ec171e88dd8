"""`report.html`: a run, or several side by side, as one file to look at.

Everything is read from the folders of the runs; pictures come from the data set, where it is still
to be had. A page is never a condition: whatever goes wrong with it, the record is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from cliplab.nouns import Dataset, Record
from cliplab.report.charts import Chart
from cliplab.report.drawings_page import KIND, write_drawings_page
from cliplab.report.embedding_map import read_map
from cliplab.report.found_view import found_view
from cliplab.report.overview import Overview, overview_of
from cliplab.report.record import Run, read_run, read_unchecked
from cliplab.report.rendering import render
from cliplab.report.run_pictures import run_data
from cliplab.report.run_view import RunView, short_name, view_of
from cliplab.report.runs import RUNS, find_run
from cliplab.report.scored_pictures import find_pictures
from cliplab.report.shelf import Shelf
from cliplab.report.transfer_page import PLAN, write_transfer_page
from cliplab.runtime.errors import CliplabError, UsageError
from cliplab.runtime.progress import say
from cliplab.runtime.storage import write_bytes

FILE = "report.html"
IN_FULL = 8  # runs of a page that are shown in full; of more, the comparison alone


class Page(NamedTuple):
    """A page that was written, and what it lacks."""

    path: Path
    notes: tuple[str, ...]


def write_page(
    folders: Sequence[Path],
    out: Path | None = None,
    *,
    dataset: Dataset | None = None,
    home: Path | None = None,
) -> Page:
    """Write the page of a run, or of several side by side.

    Parameters
    ----------
    folders
        Of the runs, in the order in which they are shown.
    out
        File to write. Default: `report.html` in the folder of the run; of several,
        `report-DATE.html` beside the first.
    dataset
        The pictures that were scored, where they are at hand; None: each run's data set is opened
        again, and its page made without pictures, which it says, where that cannot be.
    home
        Folder of what is kept between runs; None: `CLIPLAB_HOME`.

    Raises
    ------
    UsageError
        No run is named, or one twice.
    DataError
        A run that cannot be read.
    """
    folders = list(folders)
    if not folders or len(set(folders)) < len(folders):
        raise UsageError("Name the runs to show, each once; `cliplab runs` lists them.")
    shelf = Shelf()
    records: list[Record] = []
    views: list[RunView] = []
    data: dict[str, Any] = {"runs": {}, "charts": {}}
    n_full = len(folders) if len(folders) <= IN_FULL else 0
    for position, folder in enumerate(folders):
        run = read_run(folder)
        records.append(run.record)
        if position < n_full:
            key = f"r{position}"
            view, block = _in_full(key, run, shelf, n_full - position, dataset, home)
            views.append(view)
            data["runs"][key] = block
    overview = overview_of(records) if len(records) > 1 else None
    path = out or _place(folders)
    context = {"runs": views, "overview": overview, "records": records, "title": _title(records)}
    data["charts"] = {one.key: one.figure for one in _charts(views, overview)}
    write_bytes(path, render("run.html.jinja", context, data, shelf.addresses))
    return Page(path, tuple(v.no_pictures for v in views if v.no_pictures))


def write_report(
    names: Sequence[str | Path],
    out: Path | None = None,
    *,
    root: Path = RUNS,
    home: Path | None = None,
) -> Page:
    """Write the page of runs by name, as `find_run` takes them.

    One of drawings or of a transfer, which is named by its folder, has a page of its own kind. The
    rest is as for `write_page`.
    """
    if len(names) == 1:
        for folder in (Path(names[0]).expanduser(), root / names[0]):
            if (folder / PLAN).is_file():
                return Page(write_transfer_page(folder, out), ())
    folders = [find_run(name, root) for name in names]
    if len(folders) == 1 and read_unchecked(folders[0]).get("kind") == KIND:
        return Page(write_drawings_page(folders[0], out, home=home), ())
    return write_page(folders, out, home=home)


@contextmanager
def no_condition(again: str) -> Iterator[None]:
    """Say what goes wrong with a page while the block runs, and go on: the work is done and kept.

    `again` is the command that tries once more.
    """
    try:
        yield
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        say(
            f"cliplab: warning: the page could not be written ({reason}). All else is whole; "
            f"`{again}` tries again."
        )


def _in_full(
    key: str, run: Run, shelf: Shelf, n_left: int, dataset: Dataset | None, home: Path | None
) -> tuple[RunView, dict[str, Any]]:
    data, why = dataset, ""
    if data is None:
        try:
            data = find_pictures(run.record, home)
        except (CliplabError, OSError) as error:
            why = str(error).partition("\n")[0]
    seen = read_map(run.record.run)
    made = run_data(run, seen, data, shelf, n_runs=n_left)
    view = view_of(key, run)._replace(
        no_pictures=why,
        has_map=made.map is not None,
        n_drawn=made.n_drawn,
        found=found_view(key, run.record, data, shelf),
    )
    return view, {"confusion": made.confusion, "gallery": made.gallery, "map": made.map}


def side_by_side(records: Sequence[Record], root: Path, home: Path | None = None) -> Path:
    """Write the page of several runs that were made together into `root`; give its path."""
    out = root / f"report-{datetime.now():%Y%m%d-%H%M%S}.html"
    return write_page([record.run for record in records], out, home=home).path


def _charts(views: Sequence[RunView], overview: Overview | None) -> Iterator[Chart]:
    for view in views:
        for charts in view.charts.values():
            yield from charts
        yield from view.found.charts if view.found else ()
    yield from overview.charts if overview else ()


def _place(folders: Sequence[Path]) -> Path:
    if len(folders) == 1:
        return folders[0] / FILE
    return folders[0].parent / f"report-{datetime.now():%Y%m%d-%H%M%S}.html"


def _title(records: Sequence[Record]) -> str:
    names = list(dict.fromkeys(short_name(record["dataset"]["name"]) for record in records))
    encoders = list(dict.fromkeys(short_name(record["encoder"]["name"]) for record in records))
    return f"{_some(names)} through {_some(encoders)}"


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:3])}{', …' * (len(names) > 3)}"
