"""The record of a tokenizer: `record.json` of kind `tokenizer`, its schema and its table.

The schema is `tokenizer.schema.json` beside this file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.table import Table

from cliplab.metrics.tokenization import MEASURES, TokenizerScores
from cliplab.nouns import Dataset, ImageTokenizer, Measure, Recognizer, Record, Skipped, digest_of
from cliplab.report.blocks import plain
from cliplab.report.layout import NOT_SCORED, lay_out, percent, with_interval
from cliplab.report.record import FILE, to_json
from cliplab.report.schemas import check_shape
from cliplab.runtime.errors import DataError, FormatTooNew
from cliplab.runtime.storage import read_json, write_bytes

SCHEMA_VERSION = 1
KIND = "tokenizer"
_ROWS = {
    "reconstruction": "reconstructions",
    "mean_picture": "the mean picture",
    "blank": "blank paper",
}


def make_tokenizer_record(
    *,
    run: Path,
    dataset: Mapping[str, Any],
    tokenizer: Mapping[str, Any],
    scores: TokenizerScores,
    objective: str,
    recognizer: Recognizer | None,
    skipped: Sequence[Skipped],
    config: object,
    timings: Mapping[str, float | None],
    machine: Mapping[str, Any],
    versions: Mapping[str, str],
    seed: int,
    created: datetime | None = None,
) -> Record:
    """Put the parts of a tokenizer's evaluation together as a record that obeys the schema.

    Parameters
    ----------
    run
        Folder of the run.
    dataset, tokenizer
        As `pictures_block` and `tokenizer_block` give them.
    scores
        Numbers with their intervals.
    objective
        Name of the objective whose values the soft-hard gap is in.
    recognizer
        What told which pictures are recognised; None: not asked.
    skipped
        Pictures that could not be read.
    config
        The resolved settings: a mapping or a dataclass.
    timings
        Seconds by stage.
    machine, versions, seed
        What a number was measured with, as `runtime.machine` gives it.
    created
        Default: now.

    Raises
    ------
    DataError
        If the parts do not make a record; all faults are named.
    """
    moment = (created or datetime.now(UTC)).astimezone(UTC)
    recognition: dict[str, Any] | None = None
    if scores.recognition is not None and recognizer is not None:
        about = {"name": recognizer.name, "identity": dict(recognizer.identity)}
        recognition = {**_measures(scores.recognition._asdict()), "recognizer": about}
    data = {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND,
        "run": str(run),
        "created": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "dataset": dataset,
        "tokenizer": tokenizer,
        "distances": {kind: _measures(found) for kind, found in scores.distances.items()},
        "codebook": _measures(scores.codebook._asdict()),
        "gap": {"objective": objective, **_measures(scores.gap._asdict())},
        "recognition": recognition,
        "skipped_count": len(skipped),
        "skipped": [one._asdict() for one in skipped],
        "config": config,
        "timings": timings,
        "machine": machine,
        "versions": versions,
        "seed": seed,
    }
    record = Record(plain(data))
    validate_tokenizer_record(record.data)
    return record


def _measures(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value._asdict() if isinstance(value, Measure) else value
        for name, value in found.items()
    }


def pictures_block(
    dataset: Dataset, task: str, split: str, rows: Sequence[int], n_held_out: int
) -> dict[str, Any]:
    """Block `dataset`: which pictures were measured, and what they belong to."""
    pictures = sorted([str(dataset.ids[row]), str(dataset.digests[row])] for row in rows)
    return {
        "name": dataset.name,
        "task": task,
        "split": split,
        "n": len(pictures),
        "n_held_out": n_held_out,
        "digest": dataset.content_digest(),
        "pictures_digest": digest_of(pictures),
        "split_origin": dataset.split_origin,
        "licence": dataset.card.licence,
        "location": None if dataset.location is None else str(dataset.location),
    }


def tokenizer_block(tokenizer: ImageTokenizer, **more: object) -> dict[str, Any]:
    """Block `tokenizer`: its whole identity, and the digest of that."""
    identity = plain(tokenizer.identity)
    return {
        "name": tokenizer.name,
        "digest": digest_of(identity),
        "codes": tokenizer.codes,
        "grid": list(tokenizer.grid),
        "shape": list(tokenizer.shape),
        "identity": identity,
        **more,
    }


# ---------------------------------------------------------------------------------- on disk


def validate_tokenizer_record(data: object, where: str = "The record") -> None:
    """Check the data of a record against the schema; a DataError names every fault."""
    check_shape(data, "tokenizer.schema.json", where)


def write_tokenizer_record(folder: Path, record: Record) -> None:
    """Write `record.json` into a folder, atomically."""
    write_bytes(folder / FILE, to_json(record).encode() + b"\n")


def read_tokenizer_record(run: Path) -> Record:
    """Read the record of a tokenizer's evaluation; its `run` is the folder where it lies now.

    Raises
    ------
    FormatTooNew
        If a newer cliplab wrote it.
    DataError
        If it is missing, damaged, or the record of something else.
    """
    path = run / FILE
    if not path.is_file():
        raise DataError(f"{run} holds no {FILE}; `cliplab train tokenizer` makes one.")
    data = read_json(path)
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise DataError(f"{path} is not the record of a tokenizer.")
    if (version := data.get("schema_version")) != SCHEMA_VERSION and isinstance(version, int):
        raise FormatTooNew(path, version, SCHEMA_VERSION)
    validate_tokenizer_record(data, where=str(path))
    return Record({**data, "run": str(run)})


# ---------------------------------------------------------------------------------- for people


def distances_table(record: Record) -> Table:
    """Show how far reconstructions, the mean picture and blank paper are from the pictures."""
    titles = ["L1\n%", "PSNR\ndB", "SSIM\n%", "stroke IoU\n%"]
    rows = [
        [
            title,
            *(
                _decibels(record["distances"][kind][name])
                if name == "psnr"
                else with_interval(record["distances"][kind][name])
                for name in MEASURES
            ),
        ]
        for kind, title in _ROWS.items()
    ]
    return lay_out(["to held-out pictures"], titles, rows)


def _decibels(measure: Mapping[str, Any]) -> str:
    if measure["value"] is None:
        return NOT_SCORED
    return f"{measure['value']:.1f} [{measure['low']:.1f}, {measure['high']:.1f}]"


def tokenizer_lines(record: Record) -> list[str]:
    """Say in words how the vocabulary is used, the soft-hard gap, and what stays recognisable."""
    codebook, gap, (h, w) = record["codebook"], record["gap"], record["tokenizer"]["grid"]
    share = codebook["used"] / codebook["codes"]
    lines = [
        f"{record['dataset']['n']:,} of {record['dataset']['n_held_out']:,} held-out pictures "
        f"({record['dataset']['split']}) of {record['dataset']['name']}",
        f"codes used: {codebook['used']:,} of {codebook['codes']:,} ({percent(share)} %), "
        f"perplexity {codebook['perplexity']['value']:,.1f}",
        f"a picture: {h}x{w} tokens, {codebook['bits_a_picture']['value']:,.0f} bits "
        f"(at most {codebook['most_bits_a_picture']:,.0f})",
        f"{gap['objective']} a value: {gap['soft']['value']:.4f} relaxed, "
        f"{gap['hard']['value']:.4f} from tokens, gap {gap['gap']['value']:+.4f}",
    ]
    if (found := record["recognition"]) is not None:
        lines.append(
            f"recognised of {found['n']:,}: {with_interval(found['originals'])} % of the originals,"
            f" {with_interval(found['reconstructions'])} % of their reconstructions"
        )
    if record["skipped_count"]:
        first = record["skipped"][0]
        lines.append(
            f"{record['skipped_count']} cannot be read and are left out "
            f"({first['id']}: {first['reason']})"
        )
    return lines
