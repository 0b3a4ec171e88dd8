"""The record of drawings: `record.json` of kind `drawings`, its schema and its tables.

The schema is `drawings.schema.json` beside this file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from cliplab.metrics.drawings import CURVE, DrawingScores
from cliplab.nouns import Recognizer, Record, Skipped
from cliplab.report.blocks import plain
from cliplab.report.layout import NOT_SCORED, lay_out, percent, with_interval
from cliplab.report.record import FILE, to_json
from cliplab.report.schemas import check_shape
from cliplab.runtime.errors import CliplabError, DataError, FormatTooNew
from cliplab.runtime.storage import read_json, write_bytes

SCHEMA_VERSION = 1
KIND = "drawings"
CLOSEST = "closest.png"  # drawings above, their nearest training pictures below
MOST_CLASSES = 40  # in a table, unless all are asked for


def make_drawings_record(
    *,
    run: Path,
    identity: str,
    drawings: Mapping[str, Any],
    dataset: Mapping[str, Any],
    recognizer: Recognizer,
    class_names: Sequence[str],
    scores: DrawingScores,
    pairs: Sequence[Mapping[str, Any]],
    left_out: Sequence[str],
    skipped: Sequence[Skipped],
    config: object,
    timings: Mapping[str, float | None],
    machine: Mapping[str, Any],
    versions: Mapping[str, str],
    seed: int,
    created: datetime | None = None,
) -> Record:
    """Put the parts of an evaluation of drawings together as a record that obeys the schema.

    Parameters
    ----------
    run
        Folder of the run.
    identity
        Digest of what was measured and how; an evaluation of the same is not done again.
    drawings, dataset
        Whose drawings they are, and the real pictures beside them.
    recognizer
        What judged.
    class_names
        Of the classes that were drawn, in the order of `scores.per_class`.
    scores
        Numbers with their intervals.
    pairs
        The closest drawings and training pictures.
    left_out
        Classes of the data set that were not drawn.
    skipped
        Pictures that could not be read.
    config
        The resolved settings: a mapping or a dataclass.
    timings
        Seconds by stage.
    machine, versions, seed
        What the numbers were measured with, as `runtime.machine` gives it.
    created
        Default: now.

    Raises
    ------
    DataError
        If the parts do not make a record; all faults are named.
    """
    moment = (created or datetime.now(UTC)).astimezone(UTC)
    data = {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND,
        "run": str(run),
        "created": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "identity": identity,
        "drawings": drawings,
        "dataset": dataset,
        "recognizer": {"name": recognizer.name, "identity": dict(recognizer.identity)},
        "overall": scores.overall,
        "shuffled": {"top1": scores.shuffled_top1, "top5": scores.shuffled_top5},
        "copies": {
            "nearer_pixels": scores.nearer_pixels,
            "nearer_features": scores.nearer_features,
            "identical": scores.identical,
            "curve": {
                "shares": CURVE,
                "pixels": scores.curve_pixels,
                "features": scores.curve_features,
            },
            "through_tokenizer": scores.redrawn,
            "pairs": list(pairs),
        },
        "per_class": [
            {"name": name, **found._asdict()}
            for name, found in zip(class_names, scores.per_class, strict=True)
        ],
        "left_out": list(left_out),
        "skipped_count": len(skipped),
        "skipped": [one._asdict() for one in skipped],
        "config": config,
        "timings": timings,
        "machine": machine,
        "versions": versions,
        "seed": seed,
    }
    record = Record(plain(data))
    validate_drawings_record(record.data)
    return record


# ---------------------------------------------------------------------------------- on disk


def validate_drawings_record(data: object, where: str = "The record") -> None:
    """Check the data of a record against the schema; a DataError names every fault."""
    check_shape(data, "drawings.schema.json", where)


def write_drawings_record(folder: Path, record: Record) -> None:
    """Write `record.json` into a folder, atomically."""
    write_bytes(folder / FILE, to_json(record).encode() + b"\n")


def read_drawings_record(run: Path) -> Record:
    """Read the record of an evaluation of drawings; its `run` is the folder where it lies now.

    Raises
    ------
    FormatTooNew
        If a newer cliplab wrote it.
    DataError
        If it is missing, damaged, or the record of something else.
    """
    path = run / FILE
    if not path.is_file():
        raise DataError(f"{run} holds no {FILE}; `cliplab evaluate-drawings` makes one.")
    data = read_json(path)
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise DataError(f"{path} is not the record of drawings.")
    if (version := data.get("schema_version")) != SCHEMA_VERSION and isinstance(version, int):
        raise FormatTooNew(path, version, SCHEMA_VERSION)
    validate_drawings_record(data, where=str(path))
    return Record({**data, "run": str(run)})


def finished_record(run: Path, identity: str) -> Record | None:
    """Give the record of a run that measured the same; None: there is none, or of other things."""
    try:
        there = read_drawings_record(run)
    except CliplabError:
        return None
    return there if there["identity"] == identity else None


# ---------------------------------------------------------------------------------- for people


def overall_table(record: Record) -> Table:
    """Show every number of the drawings beside that of real pictures."""
    found, shuffled, copies = record["overall"], record["shuffled"], record["copies"]

    def beside(title: str, name: str, floor: Mapping[str, Any] | None = None) -> list[str]:
        one = found[name]
        shown = percent_of if name not in _PLAIN else number_of
        return [
            title,
            shown(one["drawn"]),
            shown(one["real"]),
            percent_of(one["ratio"]) if "ratio" in one else NOT_SCORED,
            NOT_SCORED if floor is None else percent_of(floor),
        ]

    rows = [
        beside("recognised, top-1 %", "top1", shuffled["top1"]),
        beside("recognised, top-5 %", "top5", shuffled["top5"]),
        beside("Fréchet distance", "frechet"),
        beside("KID", "kernel"),
        beside("precision %", "precision"),
        beside("recall %", "recall"),
        beside("density %", "density"),
        beside("coverage %", "coverage"),
        beside("diversity in a class", "diversity"),
        beside("taught by them, top-1 %", "taught"),
        beside("nearest training picture, pixels %", "near_pixels"),
        beside("nearest training picture, features", "near_features"),
    ]
    if (redrawn := copies.get("through_tokenizer")) is not None:
        for kind, shown in (("pixels %", percent_of), ("features", number_of)):
            one = redrawn[kind.split()[0]]
            row = [f"… real ones through its tokenizer, {kind}", shown(one["drawn"])]
            rows.append([*row, shown(one["real"]), percent_of(one["ratio"]), NOT_SCORED])
    identical = copies["identical"]
    rows.append(
        [
            "the same as a training picture %",
            percent_of(identical["drawn"]),
            percent_of(identical["real"]),
            NOT_SCORED,
            NOT_SCORED,
        ]
    )
    titles = ["drawings", "real, held out", "drawings over real %", "shuffled labels"]
    return lay_out([f"{record['drawings']['n']:,} drawings"], titles, rows)


_PLAIN = ("frechet", "kernel", "diversity", "near_features")  # no shares


def percent_of(measure: Mapping[str, Any]) -> str:
    """Give a share with its interval, in percent."""
    return with_interval(measure)


def number_of(measure: Mapping[str, Any] | None) -> str:
    """Give a number with its interval, "12.3 [11.8, 12.9]"; "–": not scored."""
    if measure is None or measure["value"] is None:
        return NOT_SCORED
    told = [_digits(measure[key]) for key in ("value", "low", "high") if measure[key] is not None]
    return told[0] if len(told) < 3 else f"{told[0]} [{told[1]}, {told[2]}]"


def _digits(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}" if abs(value) >= 1e-4 else "0.0000"


def per_class_table(record: Record, *, all_classes: bool = False) -> Table:
    """Show what tells most of each class: the worst recognised first where not all are shown."""
    titles = [
        "drawings",
        "top-1 %",
        "real\n%",
        "top-5\n(real) %",
        "Fréchet\n(real)",
        "precision\n%",
        "recall\n%",
        "diversity\nover real %",
        "taught\n(real) %",
        "nearest pixels\nover real %",
    ]
    found = record["per_class"]
    if not all_classes and len(found) > MOST_CLASSES:
        found = sorted(found, key=lambda one: _value(one["top1"]["drawn"]))[:MOST_CLASSES]
    return lay_out(["class"], titles, [_class_row(one) for one in found])


def _value(measure: Mapping[str, Any]) -> float:
    return -1.0 if measure["value"] is None else float(measure["value"])


def _class_row(one: Mapping[str, Any]) -> list[str]:
    def shares(name: str) -> str:
        return f"{percent(one[name]['drawn']['value'])} ({percent(one[name]['real']['value'])})"

    return [
        one["name"],
        f"{one['n']:,}",
        with_interval(one["top1"]["drawn"]),
        percent(one["top1"]["real"]["value"]),
        shares("top5"),
        f"{_short(one['frechet']['drawn'])} ({_short(one['frechet']['real'])})",
        percent(one["precision"]["drawn"]["value"]),
        percent(one["recall"]["drawn"]["value"]),
        with_interval(one["diversity"]["ratio"]),
        shares("taught"),
        percent(one["near_pixels"]["ratio"]["value"]),
    ]


def _short(measure: Mapping[str, Any]) -> str:
    return NOT_SCORED if measure["value"] is None else _digits(measure["value"])


def drawings_lines(record: Record) -> list[str]:
    """Say in words what was compared with what, what may be copied, and what was left out."""
    dataset, copies, overall = record["dataset"], record["copies"], record["overall"]
    lines = [
        f"{record['drawings']['name']} beside {dataset['n_held_out']:,} held-out pictures of "
        f"{dataset['name']}, {dataset['n_train']:,} to learn from; sets are compared at "
        f"{overall['n_matched']:,} pictures each",
        f"nearer to a training picture than all but 1 % of held-out pictures: "
        f"{with_interval(copies['nearer_pixels'])} % of the drawings in pixels, "
        f"{with_interval(copies['nearer_features'])} % in features",
    ]
    if copies["pairs"]:
        first = copies["pairs"][0]
        lines.append(
            f"the closest pair: {first['drawing']} and {first['training']}, "
            f"{percent(first['pixels'])} % of a grey apart ({CLOSEST} has {len(copies['pairs'])})"
        )
    if record["left_out"]:
        lines.append(f"not drawn: {', '.join(record['left_out'])}")
    if record["skipped_count"]:
        first = record["skipped"][0]
        lines.append(
            f"{record['skipped_count']} cannot be read and are left out "
            f"({first['id']}: {first['reason']})"
        )
    return lines
