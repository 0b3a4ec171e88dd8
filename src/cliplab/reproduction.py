"""The reported tables, row for row, measured anew: reported beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cliplab.datasets.family import open_catalogued
from cliplab.evaluation import Told
from cliplab.nouns import DEFAULT_ENCODER, Measure, Record
from cliplab.protocol import EvaluateConfig, Subject, subject_of
from cliplab.report.reported import (
    BENCHMARK,
    CLASSIFIERS,
    ReportedTable,
    Reproduced,
    beside,
    beside_reported,
    reported_source,
    reported_tables,
)
from cliplab.runtime.errors import DataError, NotPrepared, UsageError
from cliplab.suite import evaluate_all


@dataclass(frozen=True, slots=True)
class Reproduction:
    """All reported tables beside ours."""

    encoder: str
    source: str  # of the reported numbers
    tables: tuple[Reproduced, ...]  # in the report's order


def reproduce(
    encoder: str = DEFAULT_ENCODER,
    config: EvaluateConfig | None = None,
    *,
    csv: Path | None = None,
    told: Told = lambda _line: None,
) -> Reproduction:
    """Evaluate an encoder on every reported data set that is prepared; the others are named.

    What was finished before a kill is not done again, nor is a cell of an earlier call whose
    pictures, prompts and protocol are the same (`suite.evaluate_all`).

    Parameters
    ----------
    encoder
        OpenCLIP's `ARCH/TAG`, or a folder made by `cliplab train clip`.
    config
        Protocol and machine; its classifiers are zero-shot, the linear probe, or both.
    csv
        Where all rows are written as well.
    told
        Called with the headline of each evaluation before its work begins.

    Raises
    ------
    UsageError
        A classifier that the report does not have.
    DataError
        None of the data sets is prepared; the message has the commands.
    """
    config = config or EvaluateConfig()
    if unknown := [name for name in config.classifier if name not in CLASSIFIERS]:
        raise UsageError(f"The report has {' and '.join(CLASSIFIERS)} alone, not {unknown[0]}.")
    tables = reported_tables()
    here: dict[str, Subject] = {}
    missing: dict[str, tuple[str, ...]] = {}
    for table in tables:
        try:
            data = open_catalogued(table.dataset, home=config.home)
            here[table.dataset] = subject_of(data, table.task, config)
        except NotPrepared as error:
            missing[table.dataset] = error.names
    if not here:
        listing = " ".join(dict.fromkeys(name for names in missing.values() for name in names))
        raise DataError(
            "None of the reported data sets is prepared here. Run `cliplab prepare` with one or "
            f"more of {listing}; archives that you have: --archives FOLDER."
        )
    records = evaluate_all(list(here.values()), [encoder], config, keep=True, told=told)
    done = dict(zip(here, records, strict=True))
    wanted = [name for name in CLASSIFIERS if name in config.classifier]
    found = Reproduction(
        encoder=records[0]["encoder"]["name"],
        source=reported_source(),
        tables=tuple(
            _reproduced(table, done.get(table.dataset), missing.get(table.dataset, ()), wanted)
            for table in tables
        ),
    )
    if csv:
        _write(csv, found)
    return found


def _reproduced(
    table: ReportedTable,
    record: Record | None,
    missing: Sequence[str],
    classifiers: Sequence[str],
) -> Reproduced:
    notes: tuple[str, ...] = ()
    if record is None:
        rows = (table.overall, *table.rows)
        numbers = tuple(
            beside(row, name, None, Measure(None)) for name in classifiers for row in rows
        )
    else:
        found = beside_reported(record)
        numbers, notes = found.numbers, found.notes
    benchmark = table.overall.values.get(BENCHMARK)
    return Reproduced(
        table=table.table,
        dataset=table.dataset,
        task=table.task,
        benchmark=benchmark.value if benchmark else None,
        numbers=numbers,
        notes=notes,
        run=None if record is None else record.run,
        prepare=tuple(missing),
    )


def _write(path: Path, found: Reproduction) -> None:
    from cliplab.report.reported_tables import reported_rows
    from cliplab.report.tables import write_csv

    rows = []
    for part in found.tables:
        about: dict[str, Any] = {"table": part.table, "dataset": part.dataset, "task": part.task}
        about |= {"encoder": found.encoder, "run": None if part.run is None else str(part.run)}
        rows += reported_rows(part.numbers, **about)
    write_csv(path, rows)
