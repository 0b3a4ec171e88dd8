"""`report.html` of an evaluation of drawings: numbers beside real ones, grids, nearest pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cliplab.nouns import TRAIN, Dataset, Measure, Record
from cliplab.report.drawings_charts import SHARES, drawings_charts, near_charts
from cliplab.report.layout import NOT_SCORED, with_interval
from cliplab.report.record import read_unchecked
from cliplab.report.rendering import render
from cliplab.report.run_view import Bar, ClassRow, described, short_name
from cliplab.report.scored_pictures import find_pictures
from cliplab.report.shelf import Shelf
from cliplab.runtime.errors import CliplabError
from cliplab.runtime.storage import write_bytes

KIND = "drawings"  # of the record
ROW = 10  # pictures of a class, drawn and real
EDGE = 72  # pixels of them at most
NUMBERS = {
    "frechet": "Fréchet distance",
    "kernel": "KID",
    "diversity": "diversity in a class",
}
NEAREST = "nearest training picture"


class Grid(NamedTuple):
    """Drawings of a class above real ones; pictures are places on the shelf."""

    name: str
    drawn: tuple[tuple[str, int | None], ...]  # id and place
    real: tuple[tuple[str, int | None], ...]


class Pair(NamedTuple):
    """A drawing and the training picture nearest to it."""

    drawing: str
    training: str
    told: str
    drawn_at: int | None
    training_at: int | None


class _Sides(NamedTuple):
    """The drawings and the real pictures, where they are to be had."""

    drawn: Dataset | None
    real: Dataset | None
    why: tuple[str, ...]  # they are not


def write_drawings_page(run: Path, out: Path | None = None, *, home: Path | None = None) -> Path:
    """Write the page of a run that `cliplab evaluate-drawings` made; give its path.

    Parameters
    ----------
    run
        Folder of the run.
    out
        File to write. Default: `report.html` in the folder.
    home
        Folder of what is kept between runs; None: `CLIPLAB_HOME`.
    """
    record = Record({**read_unchecked(run), "run": str(run)})
    sides, shelf = _sides(record, home), Shelf()
    pairs = _pairs(record, sides, shelf)
    grids = _grids(record, sides, shelf)
    charts, near = drawings_charts(record), near_charts(record)
    overall, shuffled = record["overall"], record["shuffled"]
    context = {
        "title": f"Drawings by {short_name(record['drawings']['name'])}",
        "record": record,
        "name": short_name(record["drawings"]["name"]),
        "data_set": short_name(record["dataset"]["name"]),
        "tiles": _tiles(overall, shuffled),
        "charts": charts,
        "near_charts": near,
        "rows": _rows(record),
        "view": _ByClass("r0", tuple(_classes(record)), ("drawings", "real, held out")),
        "grids": grids,
        "pairs": pairs,
        "notes": sides.why,
        "settings": _settings(record),
    }
    data = {"runs": {}, "charts": {one.key: one.figure for one in (*charts, *near)}}
    path = out or run / "report.html"
    write_bytes(path, render("drawings.html.jinja", context, data, shelf.addresses))
    return path


class _ByClass(NamedTuple):
    """As much of a `RunView` as the table by class shows."""

    key: str
    classes: tuple[ClassRow, ...]
    classifiers: tuple[str, ...]


# ------------------------------------------------------------------------------- numbers


def _tiles(
    overall: Mapping[str, Any], shuffled: Mapping[str, Any]
) -> tuple[tuple[str, str, str], ...]:
    """Title, number and what it is beside."""
    top1, taught = overall["top1"], overall["taught"]
    floor = with_interval(shuffled["top1"])
    return (
        ("recognised, top-1 %", with_interval(top1["drawn"]),
         f"real pictures {with_interval(top1['real'])}; by chance {floor}"),
        ("of what real ones reach, %", with_interval(top1["ratio"]), "drawings over real"),
        ("Fréchet distance", number(overall["frechet"]["drawn"]),
         f"real pictures {number(overall['frechet']['real'])}"),
        ("taught by drawings, top-1 %", with_interval(taught["drawn"]),
         f"by as many real ones {with_interval(taught['real'])}"),
    )  # fmt: skip


def number(measure: Mapping[str, Any] | None) -> str:
    """Give a number that is no share with its interval: "12.3 [11.8, 12.9]"."""
    if measure is None or measure["value"] is None:
        return NOT_SCORED
    told = [f"{measure[k]:.3g}" for k in ("value", "low", "high") if measure[k] is not None]
    return told[0] if len(told) < 3 else f"{told[0]} [{told[1]}, {told[2]}]"


def _rows(record: Record) -> list[tuple[str, ...]]:
    """Every number of the drawings beside that of real pictures."""
    overall, shuffled, copies = record["overall"], record["shuffled"], record["copies"]
    rows: list[tuple[str, ...]] = []
    for names, shown, unit in ((SHARES, with_interval, " %"), (NUMBERS, number, "")):
        for key, title in names.items():
            one = overall[key]
            ratio = with_interval(one["ratio"]) if "ratio" in one else NOT_SCORED
            floor = with_interval(shuffled.get(key))
            rows.append((title + unit, shown(one["drawn"]), shown(one["real"]), ratio, floor))
    redrawn = copies.get("through_tokenizer") or {}
    for kind, title, shown in (
        ("pixels", "pixels %", with_interval),
        ("features", "features", number),
    ):
        beside = [(f"{NEAREST}, {title}", overall[f"near_{kind}"])]
        if redrawn:
            beside.append((f"the same, {title}, real ones through the tokenizer", redrawn[kind]))
        for told, one in beside:
            sides = (shown(one["drawn"]), shown(one["real"]), with_interval(one["ratio"]))
            rows.append((told, *sides, NOT_SCORED))
    identical = copies["identical"]
    rows.append(
        ("the same as a training picture %", with_interval(identical["drawn"]),
         with_interval(identical["real"]), NOT_SCORED, NOT_SCORED)
    )  # fmt: skip
    for key, title in (("nearer_pixels", "pixels"), ("nearer_features", "features")):
        told = f"nearer to a training picture than 99 % of held-out ones, {title} %"
        rows.append((told, with_interval(copies[key]), "1.0", NOT_SCORED, NOT_SCORED))
    return rows


def _classes(record: Record) -> list[ClassRow]:
    rows = []
    for place, one in enumerate(record["per_class"]):
        drawn, real = one["top1"]["drawn"], one["top1"]["real"]
        apart = None
        if drawn["value"] is not None and real["value"] is not None:
            apart = 100 * (real["value"] - drawn["value"])
        rows.append(ClassRow(one["name"], place, one["n"], False, (_bar(drawn), _bar(real)), apart))
    return rows


def _bar(measure: Mapping[str, Any]) -> Bar:
    if measure["value"] is None:
        return Bar(None, 0.0, 0.0, NOT_SCORED, NOT_SCORED)
    value = 100 * measure["value"]
    low, high = (value if measure[k] is None else 100 * measure[k] for k in ("low", "high"))
    return Bar(value, low, high, f"{value:.1f}", with_interval(Measure(**measure)))


def _settings(record: Record) -> list[tuple[str, str]]:
    told = [
        ("run", str(record.run)), ("made", record["created"][:19].replace("T", " ") + " UTC"),
        ("judged by", record["recognizer"]["name"]), ("seed", str(record["seed"])),
        ("trained on", f"{record['dataset']['n_train']:,} pictures"),
        ("held out", f"{record['dataset']['n_held_out']:,} pictures"),
    ]  # fmt: skip
    told += [(key.replace("_", " "), described(v)) for key, v in record["machine"].items()]
    timings = record["timings"].items()
    told += [(f"seconds, {key}", f"{value:,.2f}") for key, value in timings if value]
    drawer = record["drawings"]["drawer"] or {}
    told += [(f"drawn by, {key}", described(value)) for key, value in drawer.items()]
    return told


# ------------------------------------------------------------------------------- pictures


def _sides(record: Record, home: Path | None) -> _Sides:
    found: list[Dataset | None] = []
    why = []
    for block, what in ((record["drawings"], "drawings"), (record["dataset"], "real pictures")):
        try:
            found.append(find_pictures(Record({"dataset": block, "config": {}}), home))
        except (CliplabError, OSError) as error:
            found.append(None)
            why.append(f"The {what} are not shown: " + str(error).partition("\n")[0])
    return _Sides(found[0], found[1], tuple(why))


def _pairs(record: Record, sides: _Sides, shelf: Shelf) -> list[Pair]:
    pairs = record["copies"]["pairs"]
    for data, key in ((sides.drawn, "drawing"), (sides.real, "training")):
        if data is not None:
            shelf.fill(data, [pair[key] for pair in pairs], edge=2 * EDGE)
    digests = [record[name]["digest"] for name in ("drawings", "dataset")]
    return [
        Pair(
            pair["drawing"], pair["training"],
            f"{100 * pair['pixels']:.1f} % of a grey apart, {pair['features']:.3g} in features",
            shelf.place(digests[0], pair["drawing"]), shelf.place(digests[1], pair["training"]),
        )
        for pair in pairs
    ]  # fmt: skip


def _grids(record: Record, sides: _Sides, shelf: Shelf) -> list[Grid]:
    """Put the first drawings of each class beside real held-out pictures, chosen by chance."""
    names = [one["name"] for one in record["per_class"]]
    drawn, real = (
        _of_classes(sides.drawn, names, held_out=False),
        _of_classes(sides.real, names, held_out=True),
    )
    for data, ids in ((sides.drawn, drawn), (sides.real, real)):
        if data is not None:
            in_turn = [own[i] for i in range(ROW) for own in ids.values() if i < len(own)]
            shelf.fill(data, in_turn, edge=EDGE, share=0.5 if data is sides.drawn else 1.0)
    digests = [record[name]["digest"] for name in ("drawings", "dataset")]

    def placed(digest: str, ids: Sequence[str]) -> tuple[tuple[str, int | None], ...]:
        return tuple((id_, shelf.place(digest, id_)) for id_ in ids)

    return [
        Grid(name, placed(digests[0], drawn.get(name, ())), placed(digests[1], real.get(name, ())))
        for name in names
    ]


def _of_classes(
    data: Dataset | None, names: Sequence[str], *, held_out: bool
) -> dict[str, list[str]]:
    """Ids of the first pictures of each class; of real ones, held-out pictures by chance."""
    if data is None:
        return {}
    task = data.task()
    known = {_plain(name): c for c, name in enumerate(task.class_names)}
    found = {}
    for name in names:
        if (c := known.get(_plain(name))) is None:
            continue
        rows = np.flatnonzero(data.labels[task.name] == c)
        if held_out:
            rows = rows[data.splits[task.name][rows] != TRAIN]
            rows = np.random.default_rng(c).permutation(rows)
        found[name] = [str(id_) for id_ in data.ids[rows[:ROW]]]
    return found


def _plain(name: str) -> str:
    """Give a name of a class as it is looked for: case, hyphens and underscores do not count."""
    return name.replace("_", " ").replace("-", " ").casefold()
