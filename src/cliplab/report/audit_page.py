"""`review.html`: what an audit found, the most doubtful first, each with its picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cliplab.nouns import Dataset
from cliplab.report.layout import percent
from cliplab.report.rendering import render
from cliplab.report.run_view import short_name
from cliplab.report.shelf import Shelf
from cliplab.runtime.storage import write_bytes

SHOWN = 48  # findings of a kind; the list to review has all
_WORDS = {
    "label": ("Suspected labels", "A probe that never saw the picture is sure of another class."),
    "duplicate": ("Duplicates", "The same file twice, or nearly the same picture."),
    "odd": ("Odd pictures", "Unlike all others, of extreme shape or size, or nearly constant."),
    "unreadable": ("Unreadable pictures", "They are left out of every number."),
    "small class": ("Small classes", "So few pictures are held out that an accuracy says little."),
}


class Card(NamedTuple):
    """A finding with its picture, or two where one doubles the other."""

    path: str
    given: str
    suggested: str
    other_path: str
    reason: str
    picture: int | None  # its place on the shelf; None: not shown
    other_picture: int | None


class Kind(NamedTuple):
    """All that was found of one kind."""

    key: str
    title: str
    told: str
    n: int
    cards: tuple[Card, ...]  # those with pictures, the first `SHOWN`
    rows: tuple[tuple[str, str], ...]  # the others: picture or class, and why


def write_audit_page(
    path: Path, dataset: str | Path | Dataset, about: Mapping[str, Any], *, home: Path | None = None
) -> None:
    """Write the page of an audit.

    Parameters
    ----------
    path
        File to write.
    dataset
        What was looked through, as it was given to the audit.
    about
        The fields of `audit.Audit` by name.
    home
        Folder of what is kept between runs; None: `CLIPLAB_HOME`.
    """
    from cliplab.datasets.family import open_dataset

    data = dataset if isinstance(dataset, Dataset) else open_dataset(dataset, home=home).dataset
    shelf, findings = Shelf(), [finding._asdict() for finding in about["findings"]]
    by_kind = {kind: [f for f in findings if f["kind"] == kind] for kind in _WORDS}
    shown = [f for kind in ("label", "duplicate", "odd") for f in by_kind[kind][:SHOWN]]
    shelf.fill(data, [id_ for f in shown for id_ in (f["path"], f["other_path"]) if id_])
    digest = data.content_digest()
    kinds = [_kind(kind, by_kind[kind], shelf, digest) for kind in _WORDS]
    accuracy = about["probe_accuracy"]
    context = {
        "title": f"Audit of {short_name(about['dataset'])}",
        "name": short_name(about["dataset"]),
        "facts": (
            f"{about['n']:,} pictures, {about['n_labelled']:,} with a label",
            f"encoder {short_name(about['encoder'])}",
            f"near-duplicates from a cosine of {about['threshold']}",
            "labels not judged" if accuracy is None else
            f"the probe says {percent(accuracy)} % of the labels as they are given",
        ),
        "kinds": kinds,
        "n_across": about["n_across_splits"],
        "notes": about["notes"],
    }  # fmt: skip
    write_bytes(
        path, render("audit.html.jinja", context, {"runs": {}, "charts": {}}, shelf.addresses)
    )


def _kind(kind: str, found: Sequence[Mapping[str, Any]], shelf: Shelf, digest: str) -> Kind:
    title, told = _WORDS[kind]
    if kind in ("unreadable", "small class"):
        rows = tuple((f["path"] or f["given"], f["reason"]) for f in found[: 5 * SHOWN])
        return Kind(kind.replace(" ", "-"), title, told, len(found), (), rows)
    cards = tuple(
        Card(
            f["path"], f["given"], f["suggested"], f["other_path"], f["reason"],
            shelf.place(digest, f["path"]),
            shelf.place(digest, f["other_path"]) if f["other_path"] else None,
        )
        for f in found[:SHOWN]
    )  # fmt: skip
    return Kind(kind, title, told, len(found), cards, ())
