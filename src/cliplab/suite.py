"""Several data sets by several encoders: each cell an evaluation, finished cells kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from cliplab.evaluation import Told, evaluate, open_encoder
from cliplab.nouns import DEFAULT_ENCODER, Encoder, Record, digest_of
from cliplab.protocol import EvaluateConfig, Subject, is_retrieval, open_subject
from cliplab.retrieval import asked_digest
from cliplab.runtime.errors import CliplabError, DataError, UsageError
from cliplab.runtime.progress import say
from cliplab.runtime.storage import locked, read_json, write_json

FORMAT_VERSION = 1
RUNS = Path("runs")
OnFault = Callable[[str | Subject, DataError], None]


def evaluate_all(
    datasets: Sequence[str | Subject],
    encoders: Sequence[str] | None,
    config: EvaluateConfig,
    *,
    csv: Path | None = None,
    keep: bool = False,
    told: Told = lambda _line: None,
    on_fault: OnFault | None = None,
) -> list[Record]:
    """Evaluate each encoder on each data set; records in the order of encoders, then data sets.

    A cell that was finished when an earlier call with the same arguments was killed is read, not
    done again. Once all are done that memory ends, so that the next call measures anew.

    Parameters
    ----------
    datasets, encoders
        Names as on the command line; a data set may be one that is open already. Without encoders
        it is the default one.
    config
        One protocol for all. With several cells, `out` is the folder that holds the runs.
    csv
        Where the table of all cells is written as well, one row a data set, encoder, classifier.
    keep
        Whether finished cells are kept for later calls with this protocol over any data sets. Such
        a cell is done again when its pictures, class names or prompts change, by another version
        of cliplab, or where its run is no longer there.
    told
        Called with the headline of each cell before its work begins.
    on_fault
        Called with the data set of a cell that cannot be scored, and the reason; the cell is left
        out then. By default the reason ends the work.
    """
    from cliplab.report.found import retrieval_rows
    from cliplab.report.tables import write_csv, write_suite_csv

    encoders = encoders or (DEFAULT_ENCODER,)
    memory = _memory(datasets, encoders, config, keep)
    if len(datasets) == len(encoders) == 1 and not keep:
        records = [evaluate(datasets[0], encoders[0], config, told=told)]
    else:
        records = _all_cells(datasets, encoders, config, memory, told, on_fault)
        _report(records, config, told)
    if csv:
        if "retrieval" in records[0].data:
            write_csv(csv, retrieval_rows(records))
        else:
            write_suite_csv(csv, records)
    if not keep:
        memory.unlink(missing_ok=True)  # not before the table is there
    return records


def _all_cells(
    datasets: Sequence[str | Subject],
    encoders: Sequence[str],
    config: EvaluateConfig,
    memory: Path,
    told: Told,
    on_fault: OnFault | None,
) -> list[Record]:
    if config.weights and len(encoders) > 1:
        raise UsageError("--weights goes with one encoder; give one --encoder, or no --weights.")
    subjects = [_opened(name, config) for name in datasets]  # a wrong name is said at once
    if len({is_retrieval(subject.dataset, subject.task) for subject in subjects}) > 1:
        raise UsageError("Retrieval has a table of its own: evaluate :retrieval tasks apart.")
    records = []
    with _progress_of(memory, config) as cells:
        for encoder in encoders:
            eye = _Lazily(partial(open_encoder, encoder, config))
            for dataset in datasets:
                try:
                    records.append(cells.do(dataset, encoder, eye, told))
                except DataError as error:
                    if on_fault is None:
                        raise
                    on_fault(dataset, error)
    return records


def _report(records: Sequence[Record], config: EvaluateConfig, told: Told) -> None:
    """Write the page of all cells side by side; each has its own in the folder of its run."""
    from cliplab.report.page import no_condition, side_by_side

    if config.report and len(records) > 1:
        again = " ".join(["cliplab report", *(str(record.run) for record in records)])
        with no_condition(again):
            told(f"side by side: {side_by_side(records, config.out or RUNS, config.home)}")


class _Lazily:
    """An encoder that is loaded when the first unfinished cell asks for it."""

    def __init__(self, load: Callable[[], Encoder]) -> None:
        self._load = load
        self._encoder: Encoder | None = None

    def __call__(self) -> Encoder:
        if self._encoder is None:
            self._encoder = self._load()
        return self._encoder


class _Cells:
    """What is finished of a suite, in a file that lives until all of it is."""

    def __init__(self, path: Path, config: EvaluateConfig) -> None:
        self.path, self.config = path, config
        self.done: dict[str, dict[str, str]] = {}
        if path.exists():
            self.done = read_json(path, FORMAT_VERSION)["cells"]

    def do(self, dataset: str | Subject, encoder: str, eye: _Lazily, told: Told) -> Record:
        """Read the record of a finished cell, or evaluate it."""
        key = f"{_named(dataset)} × {encoder}"
        subject = _opened(dataset, self.config)
        content = _content(subject)
        if (record := self._finished(key, content)) is not None:
            say(f"{key}: finished before, {record.run}")
            return record
        config = self.config
        if config.out:
            from cliplab.report.runs import new_run_folder

            folder = new_run_folder(config.out, subject.dataset.name, encoder)
            config = dataclasses.replace(config, out=folder)
        record = evaluate(subject, eye(), config, told=told)
        self.done[key] = {"run": str(record.run), "content": content}
        write_json(self.path, {"format_version": FORMAT_VERSION, "cells": self.done})
        return record

    def _finished(self, key: str, content: str) -> Record | None:
        from cliplab.report.record import read_record

        cell = self.done.get(key)
        if cell is None or cell["content"] != content:
            return None
        try:
            return read_record(Path(cell["run"]))
        except (CliplabError, OSError):
            return None


def _opened(dataset: str | Subject, config: EvaluateConfig) -> Subject:
    return dataset if isinstance(dataset, Subject) else open_subject(dataset, config)


def _named(dataset: str | Subject) -> str:
    if isinstance(dataset, Subject):
        return f"{dataset.dataset.name}:{dataset.task.name}"
    return dataset


def _content(subject: Subject) -> str:
    """Hex SHA-256 of what a cell's numbers come from but for the protocol."""
    words = [subject.class_names, dataclasses.asdict(subject.prompts)]
    if is_retrieval(subject.dataset, subject.task):
        words.append(asked_digest(subject.dataset))
    taught = subject.lesson and subject.lesson.dataset.content_digest()
    return digest_of([subject.dataset.content_digest(), subject.task.name, words, taught])


@contextmanager
def _progress_of(path: Path, config: EvaluateConfig) -> Iterator[_Cells]:
    with locked(path, lambda: say(f"Waiting for another cliplab that does the same: {path}")):
        yield _Cells(path, config)


def _memory(
    datasets: Sequence[str | Subject],
    encoders: Sequence[str],
    config: EvaluateConfig,
    keep: bool,
) -> Path:
    """Give the file that remembers what is finished of a call: another one for other weights."""
    from cliplab import __version__

    files = [config.weights] if config.weights else []
    for folder in (Path(name).expanduser() for name in encoders):
        if folder.is_dir():
            files += sorted(file for file in folder.iterdir() if file.is_file())
    stamps = [[str(f), f.stat().st_size, f.stat().st_mtime_ns] for f in files if f.exists()]
    settings = {name: value for name, value in config.as_json().items() if name != "report"}
    call: list[object] = [list(encoders), settings, stamps]
    call.append(__version__ if keep else list(map(_named, datasets)))
    name = f".{'kept' if keep else 'suite'}-{digest_of(call)[:16]}.json"
    return (config.out or RUNS) / name
