"""The record of one evaluation: put together, checked against its schema, written and read.

The schema is `record.schema.json` beside this file (JSON Schema 2020-12). A run is a folder; one
that holds `record.json` is complete, since that file is written last.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from cliplab.nouns import Predictions, Record, Result, Skipped
from cliplab.report.blocks import plain, result_block
from cliplab.report.predictions import FILE as PREDICTIONS
from cliplab.report.predictions import read_predictions, write_predictions
from cliplab.runtime.errors import DataError, Faults, FormatTooNew
from cliplab.runtime.storage import atomic_write, locked

SCHEMA_VERSION = 1
FILE = "record.json"


class Run(NamedTuple):
    """A run as it lies on disk: the record, and what each classifier said."""

    record: Record
    predictions: Mapping[str, Predictions]  # by classifier


def make_record(
    *,
    run: Path,
    dataset: Mapping[str, Any],
    encoder: Mapping[str, Any],
    results: Sequence[Result],
    prompts: Mapping[str, Any] | None,
    protocol: str,
    config: object,
    timings: Mapping[str, float | None],
    machine: Mapping[str, Any],
    versions: Mapping[str, str],
    seed: int,
    skipped: Mapping[str, Sequence[Skipped]] | None = None,
    traces: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    few_shot: object = None,
    warnings: Sequence[str] = (),
    trained_on: Mapping[str, Any] | None = None,
    retrieval: Mapping[str, Any] | None = None,
    created: datetime | None = None,
) -> Record:
    """Put the parts of an evaluation together as a record that obeys the schema.

    Parameters
    ----------
    run
        Folder of the run.
    dataset, encoder, prompts
        As `dataset_block`, `encoder_block` and `prompts_block` give them; no prompts: None.
    results
        One a classifier, in the order in which they are to be shown.
    protocol
        What was fitted on what and scored on what, in words.
    config
        The resolved settings: a mapping or a dataclass.
    timings
        Seconds by stage, and `pictures_per_second` where pictures were encoded.
    machine, versions, seed
        What a number was measured with, as `runtime.machine` gives it.
    skipped
        Split → pictures that could not be read.
    traces
        Classifier → what its search for settings tried, in order.
    few_shot
        Curves over draws of few training pictures; None: not asked for.
    warnings
        What the user was warned of.
    trained_on
        The data set that classifiers were fitted on, where it is another than was scored.
    retrieval
        How well pictures were found, where that was measured instead of classifiers.
    created
        Default: now.

    Raises
    ------
    DataError
        If the parts do not make a record; all faults are named.
    """
    skipped, traces = skipped or {}, traces or {}
    entries = [(split, picture) for split, found in skipped.items() for picture in found]
    moment = (created or datetime.now(UTC)).astimezone(UTC)
    data: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "run": str(run),
        "created": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "protocol": protocol,
        "dataset": dataset,
        "encoder": encoder,
        "prompts": prompts,
        "skipped_count": {split: len(found) for split, found in skipped.items()},
        "skipped": [{"id": s.id, "reason": s.reason, "split": split} for split, s in entries],
        "warnings": list(warnings),
        "config": config,
        "timings": {"pictures_per_second": None, **timings},
        "machine": machine,
        "versions": versions,
        "seed": seed,
        "results": [result_block(r, traces.get(r.classifier, ())) for r in results],
        "few_shot": few_shot,
    }
    optional = {"trained_on": trained_on, "retrieval": retrieval}
    data |= {key: value for key, value in optional.items() if value is not None}
    record = Record(plain(data))
    validate(record.data)
    return record


# ---------------------------------------------------------------------------------- the schema


@functools.cache
def schema() -> dict[str, Any]:
    """JSON Schema of `record.json`."""
    text = resources.files("cliplab.report").joinpath("record.schema.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def validate(data: object, where: str = "The record") -> None:
    """Check the data of a record against the schema.

    Raises
    ------
    DataError
        With every fault: the place, and what is wrong there.
    """
    import jsonschema

    faults = Faults()
    errors = jsonschema.Draft202012Validator(schema()).iter_errors(data)
    for error in sorted(errors, key=lambda e: [str(step) for step in e.absolute_path]):
        message = error.message
        if len(message) > 240:
            message = f"{message[:120]} … {message[-110:]}"
        faults.add(f"{error.json_path.removeprefix('$').lstrip('.') or 'the whole'}: {message}")
    faults.raise_any(f"{where} does not have the shape of the schema (record.schema.json):")


# ---------------------------------------------------------------------------------- on disk


def write_run(
    folder: Path,
    record: Record,
    predictions: Mapping[str, Predictions],
    learned: Sequence[Callable[[Path], None]] = (),
) -> None:
    """Write `predictions.parquet`, then `record.json`: a folder that holds the record is whole.

    A run that is in the folder already is replaced, and stays as it is until the new one is on the
    disk entirely. Each of `learned` is called with the folder, to write what it learned there.
    """
    path = folder / FILE
    with locked(folder / ".run"), atomic_write(path) as stream:
        stream.write(to_json(record).encode() + b"\n")
        stream.flush()
        with atomic_write(folder / PREDICTIONS) as beside:
            write_predictions(beside, predictions)
            beside.flush()
            os.fsync(beside.fileno())
            for save in learned:
                save(folder)
            # Killed between the two renames, an old record would stand beside new predictions.
            path.unlink(missing_ok=True)


_NUMBERS = re.compile(r"\[\n\s+(-?\d[^\]\[{}\"]*?)\n\s*\]")


def to_json(record: Record) -> str:
    """JSON of a record, two spaces deep, lists of numbers on one line each."""
    text = json.dumps(record.data, indent=2, ensure_ascii=False, allow_nan=False)
    return _NUMBERS.sub(lambda found: "[" + re.sub(r"\s+", " ", found[1]) + "]", text)


def read_record(run: Path) -> Record:
    """Read the record of a run; its `run` is the folder where it lies now.

    Raises
    ------
    FormatTooNew
        If a newer cliplab wrote it.
    DataError
        If it is missing, damaged, or does not have the shape of the schema.
    """
    data = read_unchecked(run)
    if (kind := data.get("kind")) is not None:
        what = kind if kind == "drawings" else f"a {kind}"
        raise DataError(f"{run / FILE} is the record of {what}, not of an encoder.")
    validate(data, where=str(run / FILE))
    return Record({**data, "run": str(run)})


def read_unchecked(run: Path) -> dict[str, Any]:
    """Read the data of a run's record; its version is checked, its shape is not (for lists)."""
    path = run / FILE
    try:
        data = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(
            f"{run} holds no {FILE}: it is no run, or one that did not finish. `cliplab runs` "
            "lists the complete ones; the same evaluation run again does what is missing."
        ) from error
    except ValueError as error:
        raise DataError(f"{path} is damaged ({error}). Run the evaluation again.") from error
    found = data.get("schema_version") if isinstance(data, dict) else None
    if not isinstance(found, int):
        raise DataError(f"{path} has no schema_version: it was not written by cliplab.")
    if found > SCHEMA_VERSION:
        raise FormatTooNew(path, found, SCHEMA_VERSION)
    return dict(data)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def read_run(run: Path) -> Run:
    """Read the record and the predictions of a run."""
    return Run(read_record(run), read_predictions(run))
