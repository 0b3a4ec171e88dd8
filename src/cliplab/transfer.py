"""Across domains: a probe trained on each and tested on each, beside zero-shot."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cliplab.evaluation import Learned, Told, evaluate, open_encoder
from cliplab.lesson import class_keys, learn_from, some, taught_classes
from cliplab.nouns import DEFAULT_ENCODER, TEST, Encoder, Record, digest_of
from cliplab.protocol import EvaluateConfig, Subject, open_subject, taught_by
from cliplab.runtime.errors import CliplabError, DataError, UsageError
from cliplab.runtime.progress import say
from cliplab.runtime.storage import home as home_of
from cliplab.runtime.storage import locked, make_folder, read_json, write_json

FORMAT_VERSION = 1
FILE = "transfer.json"  # what a folder of cells holds, in words
ZERO_SHOT = "zero_shot"
NO_NUMBERS = ("out", "home", "workers", "report")  # settings that change no number
RUNS = Path("runs")


class Cell(NamedTuple):
    """Trained on one domain, tested on one."""

    train: str | None  # name of the domain; None: zero-shot
    test: str
    record: Record

    @property
    def result(self) -> dict[str, Any]:
        """Entry of `results` in the record."""
        found: dict[str, Any] = self.record["results"][0]
        return found


class Transfer(NamedTuple):
    """The whole matrix: a row for each domain trained on, then zero-shot; a column each tested."""

    folder: Path  # of the cells' runs
    domains: tuple[str, ...]
    class_names: tuple[str, ...]  # that all domains share, which are scored
    left_out: tuple[str, ...]  # classes that are not in all of them with training pictures
    encoder: str
    classifier: str  # of the rows
    cells: tuple[Cell, ...]  # row by row

    def cell(self, train: str | None, test: str) -> Cell:
        """Give a cell of the matrix; `train` None: zero-shot."""
        return next(c for c in self.cells if (c.train, c.test) == (train, test))


def transfer(
    datasets: Sequence[str],
    encoder: str | Path | Encoder = DEFAULT_ENCODER,
    config: EvaluateConfig | None = None,
    *,
    told: Told = lambda _line: None,
) -> Transfer:
    """Train on each domain and test on each; zero-shot is the last row.

    All cells of a column score the same pictures: the test pictures of the classes that every
    domain has with training pictures. A probe is fitted once a row. Each cell is a run of its own;
    cells that are finished, of an earlier call with the same settings over the same pictures, are
    read and not done again.

    Parameters
    ----------
    datasets
        One name whose parts are the domains (`domainnet`, or a folder of folders of classes), or
        the name of each domain.
    encoder
        As for `evaluate`.
    config
        As for `evaluate`; its `classifier` names the one that is trained (default: linear_probe).
        `out` is the folder of the cells; default: ./runs/transfer-DATASET-ENCODER-DIGEST.
    told
        Called with one line that says what is measured, before the long work begins.

    Raises
    ------
    UsageError
        A name that has no parts, or fewer than two domains.
    DataError
        Domains that share fewer than two classes.
    """
    config = config or EvaluateConfig()
    trained = _classifier(config)
    config = dataclasses.replace(config, classifier=(trained,))
    domains = [open_subject(name, config) for name in find_domains(datasets, config.home)]
    titles = _titles([subject.dataset.name for subject in domains])
    common, left_out = _common(domains)
    eye = open_encoder(encoder, config) if isinstance(encoder, str | Path) else encoder
    folder, key = _folder(datasets, domains, eye, config)
    matrix = _Matrix(domains, titles, common, eye, config, folder)
    names = matrix.narrowed(domains[0], domains[0]).class_names
    told(_first_line(eye, trained, titles, names, left_out))
    with locked(folder / FILE, lambda: say(f"Waiting for another cliplab that fills {folder}")):
        _claim(folder, key, titles, matrix.plan())
        cells = [cell for row in (*range(len(domains)), None) for cell in matrix.row(row)]
    _report(folder, config)
    return Transfer(folder, tuple(titles), names, left_out, eye.name, trained, tuple(cells))


def _classifier(config: EvaluateConfig) -> str:
    names = [name for name in config.classifier if name != ZERO_SHOT]
    if len(names) != 1:
        raise UsageError(
            f"A transfer trains one classifier; {len(names)} are named. Give --classifier "
            "linear_probe (zero-shot is a row of every transfer)."
        )
    if config.split != TEST or config.train_on is not None or config.shots:
        raise UsageError(
            "A transfer tests on test pictures and trains on every domain in turn: no --split, no "
            "--train-on and no --shots."
        )
    return names[0]


# ------------------------------------------------------------------------------- the domains


def find_domains(datasets: Sequence[str], home: Path | None = None) -> list[str]:
    """Name the domains that are meant: those given, or the parts of the one given.

    Raises
    ------
    UsageError
        Fewer than two, or a name that has no parts; the message says what parts are.
    """
    if len(datasets) > 1:
        if len(set(datasets)) < len(datasets):
            raise UsageError("A domain is named twice; give each once.")
        return list(datasets)
    from cliplab.datasets.family import catalogue

    base, task = datasets[0], ""
    if not _is_folder(base):
        head, colon, tail = base.rpartition(":")
        if colon and "/" not in tail and not base.startswith("hf:"):
            base, task = head, colon + tail
    if _is_folder(base):
        parts = _folders_in(base)
    else:
        names = [entry.name for entry in catalogue(home_of(home))]
        parts = [name for name in names if name.startswith(base.rstrip("/") + "/")]
    if len(parts) < 2:
        raise UsageError(
            f"{datasets[0]!r} has no domains: give several DATASETs, a folder whose folders are "
            "domains (photo/dog/1.jpg, sketch/dog/1.jpg, …), or a data set with parts (domainnet)."
        )
    return [part + task for part in parts]


def _is_folder(name: str) -> bool:
    try:
        return Path(name).expanduser().is_dir()
    except (RuntimeError, OSError):
        return False


def _folders_in(base: str) -> list[str]:
    """Name the folders of a folder that hold folders; splits and classes are no domains."""
    from cliplab.datasets.splits import split_named

    inside = sorted(p for p in Path(base).expanduser().iterdir() if p.is_dir())
    seen = [path for path in inside if not path.name.startswith(".")]
    found = [path for path in seen if any(child.is_dir() for child in path.iterdir())]
    if found and all(split_named(path.name) for path in found):
        raise UsageError(
            f"The folders of {base!r} are splits ({', '.join(p.name for p in found)}), not "
            "domains. Name a data set for each domain: cliplab transfer A B."
        )
    return [f"{base.rstrip('/')}/{path.name}" for path in found]


def _titles(names: Sequence[str]) -> list[str]:
    """Shorten names to their last part where that tells them apart."""
    short = [name.rstrip("/").rpartition("/")[2] for name in names]
    return short if len(set(short)) == len(short) else list(names)


def _common(domains: Sequence[Subject]) -> tuple[set[str], tuple[str, ...]]:
    """Give the keys of the classes that every domain has with training pictures, and the others."""
    keys = class_keys(*(subject.task for subject in domains))
    taught = [
        {key for key, has in zip(own, taught_classes(s.dataset, s.task), strict=True) if has}
        for own, s in zip(keys, domains, strict=True)
    ]
    common = set.intersection(*taught)
    named: dict[str, str] = {}
    for own, subject in zip(keys, domains, strict=True):
        for key, name in zip(own, subject.task.class_names, strict=True):
            named.setdefault(key, name)
    left_out = tuple(name for key, name in named.items() if key not in common)
    if len(common) < 2:
        shown = "; ".join(f"{s.dataset.name}: {some(s.task.class_names, 4)}" for s in domains)
        raise DataError(
            f"The domains share {len(common)} classes with training pictures; it takes at least "
            f"two. Classes are matched by name ({shown}). Rename class folders so that the same "
            "class has the same name in all."
        )
    return common, left_out


# ------------------------------------------------------------------------------- the cells


class _Matrix(NamedTuple):
    """What every cell shares."""

    domains: Sequence[Subject]
    titles: Sequence[str]  # of the domains, each once
    common: Collection[str]  # keys of the classes that are scored
    encoder: Encoder
    config: EvaluateConfig
    folder: Path

    def narrowed(self, scored: Subject, taught: Subject) -> Subject:
        """Give a domain with the training pictures of another, of the classes that all share."""
        own, other = (scored.dataset, scored.task), (taught.dataset, taught.task)
        return taught_by(scored, learn_from(own, other, self.common))

    def plan(self) -> list[list[str | None]]:
        """Name what each cell is trained on (None: zero-shot) and tested on, and its folder."""
        numbers = (*range(len(self.domains)), None)
        return [
            [None if row is None else self.titles[row], title, self._name(row, column)]
            for row in numbers
            for column, title in enumerate(self.titles)
        ]

    def row(self, number: int | None) -> list[Cell]:
        """Do the cells of a row that are not finished; the classifier is fitted for the first."""
        train = None if number is None else self.titles[number]
        config = self.config
        if number is None:
            config = dataclasses.replace(config, classifier=(ZERO_SHOT,))
        fitted: dict[str, Learned] = {}
        cells = []
        for column, subject in enumerate(self.domains):
            test, run = self.titles[column], self.folder / self._name(number, column)
            if (record := _finished(run)) is not None:
                say(f"{run.name}: finished before")
            else:
                narrowed = self.narrowed(
                    subject, self.domains[column if number is None else number]
                )
                settings = dataclasses.replace(config, out=run, report=False)
                record = evaluate(narrowed, self.encoder, settings, fitted=fitted)
                say(f"{run.name}: {_percent(record)}")
            cells.append(Cell(train, test, record))
        return cells

    def _name(self, row: int | None, column: int) -> str:
        """Name of a cell's folder; numbers where what is left of the titles is not unique."""
        names = [_safe(title) for title in self.titles]
        if len(set(names)) < len(names):
            names = [f"{i}-{name}" for i, name in enumerate(names, start=1)]
        return f"{'zero-shot' if row is None else names[row]}-to-{names[column]}"


def _safe(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", name)


def _percent(record: Record) -> str:
    value = record["results"][0]["metrics"]["top1"]["value"]
    return "not scored" if value is None else f"{100 * value:.1f} %"


def _finished(run: Path) -> Record | None:
    from cliplab.report.record import read_record

    try:
        return read_record(run)
    except (CliplabError, OSError):
        return None


def _folder(
    datasets: Sequence[str], domains: Sequence[Subject], eye: Encoder, config: EvaluateConfig
) -> tuple[Path, str]:
    """Folder of the cells, and the digest of all that their numbers depend on."""
    from cliplab.report.blocks import plain
    from cliplab.runtime.machine import versions

    settings = {k: v for k, v in config.as_json().items() if k not in NO_NUMBERS}
    content = [[s.dataset.name, s.task.name, s.dataset.content_digest()] for s in domains]
    prompts = [[list(s.class_names), plain(s.prompts)] for s in domains]
    key = digest_of([plain(settings), content, prompts, plain(eye.identity), versions()])
    base = Path(datasets[0].rstrip("/")).name if len(datasets) == 1 else "domains"
    name = f"transfer-{_safe(base)}-{_safe(Path(eye.name).name)}-{key[:8]}"
    return config.out or RUNS / name, key


def _claim(
    folder: Path, key: str, titles: Sequence[str], cells: Sequence[Sequence[str | None]]
) -> None:
    """Write the plan, or find that it is ours."""
    make_folder(folder)
    path = folder / FILE
    if path.exists() and read_json(path, FORMAT_VERSION).get("key") != key:
        raise UsageError(
            f"{folder} holds a transfer of other pictures or settings. Give another folder with "
            "--out DIR, or move that one away."
        )
    plan = {"format_version": FORMAT_VERSION, "key": key, "domains": list(titles)}
    write_json(path, {**plan, "cells": cells})


def _report(folder: Path, config: EvaluateConfig) -> None:
    from cliplab.report.page import no_condition
    from cliplab.report.transfer_page import write_transfer_page

    if config.report:
        with no_condition(again=f"cliplab report {folder}"):
            write_transfer_page(folder)


def _first_line(
    eye: Encoder,
    classifier: str,
    titles: Sequence[str],
    names: Sequence[str],
    left_out: Sequence[str],
) -> str:
    from cliplab.report.headline import classifier_title, printable

    without = f" (left out: {some(left_out)})" if left_out else ""
    return printable(
        f"encoder {eye.name} · {classifier_title(classifier)} trained on each of "
        f"{', '.join(titles)}, tested on each · {len(names)} classes{without}"
    )
